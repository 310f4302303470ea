"""Runs scripts as `python SCRIPT …` does, each in a process of its own that has the slow imports behind it.

It needs the libraries of jobs. For each line of JSON that it reads, it writes the exit code of that run.
"""

import json
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

#: Importing them takes far longer than what most of the scripts do.
SLOW = ("joblib", "mlflow", "numpy", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection")


def run(asked: dict[str, Any]) -> None:
    """Become the script: `command`, with `environment`, and its output in the files `stdout` and `stderr`."""
    for stream in ("stdout", "stderr"):
        file = os.open(asked[stream], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, getattr(sys, stream).fileno())
    os.environ.update(asked["environment"])
    sys.argv = asked["command"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def serve() -> None:
    """Return in a process that has become a script, and once there is no further one."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    for name in SLOW:
        import_module(name)
    serve()
