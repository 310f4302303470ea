"""The command line: runs the benchmarks one after another and prints the results, with the targets.

The exit code says whether the measurements succeeded, not whether targets were met: a busy machine may miss a target,
and people must judge that.
"""

import argparse
import asyncio
import importlib
import logging
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.figures import BenchmarkError, Comparison, Finding
from localcloud.configuration_file import ConfigurationError
from localcloud.up import PartFailedError

#: By name: the module, and what it measures.
BENCHMARKS = {
    "indexing": ("benchmarks.indexing", "indexing the app against an empty function app"),
    "intake": ("benchmarks.intake", "notifications through the webhook against bare sends"),
    "polls": ("benchmarks.polls", "polls of a deployment, and how long its end goes unnoticed, by a simulated clock"),
    "rollback": ("benchmarks.rollback", "rolling back to a deployment that was kept against deploying again"),
    "steps": ("benchmarks.steps", "steps per second of promotions against a loop that only forwards the messages"),
    "stores": ("benchmarks.stores", "a page of 10,000 promotions against one of 100, and the stores' throughput"),
    "journey": ("benchmarks.journey", "a promotion from registration to prod against what Azure ML itself takes"),
    "waiting": ("benchmarks.waiting", "function time, Azure ML calls and memory of a promotion that waits a minute"),
}

FOLDER = Path(__file__).resolve().parents[1] / ".local" / "bench"
INTERRUPTED = 130
WIDTH = 130  # columns, if the output is not a terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, whatever the results; 1 if not; 130 if interrupted."""
    listed = "\n".join(f"  {name:10} {about}" for name, (_, about) in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the app side by side with bare SDKs.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="append", choices=tuple(BENCHMARKS), metavar="NAME", help="run this one; may be repeated"
    )
    chosen = parser.parse_args(arguments).only or list(BENCHMARKS)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    logging.basicConfig(level=logging.ERROR)
    try:
        findings = asyncio.run(interruptible(run(console, chosen)))
    except asyncio.CancelledError:
        console.print("\nInterrupted. Everything that was started has ended.", style="yellow")
        return INTERRUPTED
    except (BenchmarkError, ConfigurationError, PartFailedError) as fault:
        console.print(str(fault), style="red", markup=False)
        return 1
    report.show(console, findings)
    missed = [found.title for found in findings if isinstance(found, Comparison) and found.is_met is False]
    if missed:
        console.print(f"Missed: {', '.join(missed)}.")
    return 0


async def interruptible(work: Coroutine[None, None, list[Finding]]) -> list[Finding]:
    """Do the work; the first SIGINT or SIGTERM cancels it."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def run(console: Console, names: Sequence[str]) -> list[Finding]:
    """Run the named benchmarks one after another, and return their results."""
    began = time.monotonic()
    findings: list[Finding] = []
    columns = (TextColumn("{task.fields[name]:10}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        for name in names:
            folder = FOLDER / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            task = progress.add_task("starting", name=name, total=1)
            module: Any = importlib.import_module(BENCHMARKS[name][0])
            findings += await module.measure(folder, _Shown(progress, task))
            progress.update(task, completed=1, total=1, description="done")
    console.print(f"Measured in {time.monotonic() - began:.0f} s.", style="dim")
    return findings


class _Shown:
    """Shows the progress of one benchmark on its line."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, done: float, of: float, doing: str) -> None:
        self._progress.update(self._task, completed=done, total=of, description=doing)


if __name__ == "__main__":
    sys.exit(main())
