"""Indexes one function app like the host, and prints the seconds, the names of the functions, and the imports."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from localcloud.functions.runtime import load_app

#: Indexing must not import these, which would take longer than everything else.
HEAVY = ("azure.ai.ml", "pydantic", "yaml", "azure.servicebus", "azure.identity")


def main(folder: Path) -> None:
    os.chdir(folder)
    began = time.perf_counter()
    functions = asyncio.run(load_app(folder)).functions
    seconds = time.perf_counter() - began
    heavy = [name for name in HEAVY if name in sys.modules]
    names = sorted(one.name for one in functions)
    answer = {"seconds": seconds, "functions": names, "heavy": heavy, "modules": len(sys.modules)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
