"""The same steps as workflows of DBOS on SQLite. Run by the interpreter of its own virtual environment.

Reads `{"database", "rounds", "promotions", "steps", "evidence"}` from the file that is named: each promotion is a
workflow whose steps each give back the evidence. Answers with the seconds of each round, from the first start to the
last end.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS  # type: ignore[import-not-found, unused-ignore]


def main(file: Path) -> None:
    asked: dict[str, Any] = json.loads(file.read_text())
    DBOS(config={"name": "benchmark", "system_database_url": f"sqlite:///{asked['database']}", "log_level": "ERROR"})

    @DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
    def step(number: int) -> Any:
        return asked["evidence"]

    @DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
    def promotion() -> int:
        for number in range(asked["steps"]):
            step(number)
        return 0

    DBOS.launch()
    try:
        found = []
        for _ in range(asked["rounds"]):
            began = time.perf_counter()
            under_way = [DBOS.start_workflow(promotion) for _ in range(asked["promotions"])]
            for each in under_way:
                each.get_result()
            found.append(time.perf_counter() - began)
    finally:
        DBOS.destroy()
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
