"""Runs one side of a measurement in its own process, so that nothing here slows it down."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import BenchmarkError
from localcloud import processes

REPOSITORY = Path(__file__).resolve().parents[1]

#: Lines of a child's output that are shown when it fails.
_LINES = 20


async def answer_of(
    module: str,
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    python: Path | None = None,
) -> Any:
    """Run `python -m module` and return the JSON in the last line of its output. It is stopped when the caller ends.

    Raises `BenchmarkError` with the end of its output when it fails.
    """
    await asyncio.to_thread(log.unlink, missing_ok=True)
    child = await processes.start(
        [str(python or sys.executable), "-m", module, *arguments],
        log=log,
        environment={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        folder=REPOSITORY,
    )
    try:
        code = await child.wait()
    finally:
        if child.returncode is None:
            await child.stop()
    lines = processes.tail(log, _LINES).splitlines()
    if code != 0 or not lines:
        raise BenchmarkError(
            f"{module} exited with {code}:\
"
            + "\n".join(lines)
        )
    return json.loads(lines[-1])
