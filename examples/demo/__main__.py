"""The command line of the demo: runs the story on its own local cloud and exits with 0 if everything went as
expected."""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.text import Text

from examples.demo.checks import summary
from examples.demo.data_folder import empty
from examples.demo.project import Project
from localcloud.configuration_file import ConfigurationError
from localcloud.up import LocalCloud, PartFailedError, read_description

REPOSITORY = Path(__file__).resolve().parents[2]
INTERRUPTED = 130


@dataclass(frozen=True)
class Shown:
    """One of the demos."""

    title: str
    module: str  #: with its class `Story`
    example: str  #: the folder of examples that the app is configured from


DEMOS = {
    "model": Shown("A model's way to production", "examples.demo.story", "digits"),
    "pipeline": Shown("A training pipeline's way to production", "examples.demo.pipeline_story", "digits_pipeline"),
}
PREFACE = (
    "Everything runs on this machine: a local cloud replaces Azure, and the app is the same that runs on Azure "
    "Functions. Jobs, models, endpoints and requests are real."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 if everything went as expected, 1 if not, 130 if interrupted."""
    os.umask(0o077)  # .local contains keys and logs
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="The way to production.")
    parser.add_argument("demo", choices=[*DEMOS], nargs="?", default="model", help="what goes there (model)")
    parser.add_argument(
        "--config", type=Path, default=REPOSITORY / "localcloud.yml", help="description of the local cloud"
    )
    parser.add_argument(
        "--data", type=Path, default=REPOSITORY / ".local" / "demo", help="folder for all state; emptied at the start"
    )
    parsed = parser.parse_args(arguments)
    console = Console(highlight=False)
    logging.basicConfig(level=logging.ERROR)
    try:
        return asyncio.run(interruptible(run(console, DEMOS[parsed.demo], parsed.config, parsed.data)))
    except asyncio.CancelledError:
        console.print("\nInterrupted. Everything that was started has ended.", style="yellow")
        return INTERRUPTED
    except (ConfigurationError, PartFailedError) as fault:
        console.print(Text(str(fault), style="red"))
        return 1


async def interruptible(work: Coroutine[None, None, int]) -> int:
    """Do the work; the first SIGINT or SIGTERM cancels it."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def run(console: Console, demo: Shown, config: Path, data: Path) -> int:
    """Start a fresh local cloud in `data`, tell the story, and stop the cloud."""
    began = time.monotonic()
    console.print(Text(demo.title, style="bold"))
    console.print(Text(PREFACE, style="dim"))
    description = read_description(config)
    empty(data)
    project = Project(data, demo.example)
    cloud = LocalCloud(
        project.configured(description), data, tell=lambda line: console.print(Text(line, style="yellow"))
    )
    try:
        with console.status("the local cloud and the app are starting"):
            # Importing the SDK takes about as long as starting the cloud.
            importing = asyncio.to_thread(importlib.import_module, demo.module)
            _, module = await asyncio.gather(cloud.start(), importing)
        seconds = time.monotonic() - began
        console.print(Text(f"It took {seconds:.0f} s to start. Logs are in {shown(data / 'logs')}.", style="dim"))
        async with aiohttp.ClientSession() as session:
            story = module.Story(console, cloud, project, data, session)
            good = await story.tell()
    finally:
        await cloud.stop()
    console.print()
    console.print(summary(story.points))
    if good:
        console.print(Text(f"Everything went as expected, in {time.monotonic() - began:.0f} s.", style="bold green"))
        return 0
    console.print(Text(f"Something went wrong. The logs are in {shown(data / 'logs')}.", style="bold red"))
    return 1


def shown(path: Path) -> str:
    """The path, relative to the current folder if possible."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
