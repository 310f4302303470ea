"""The command line: `python -m tests.chaos` kills parts of a local cloud until a violation or the end."""

import argparse
import asyncio
import io
import logging
import random
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from tests.chaos.run import Plan, Result, run

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every invariant held, 1 if not, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Runs a local cloud with many lanes, kills its parts at random, plays people, callers and faults, "
        "and checks that nothing is lost, doubled, stuck or orphaned, that traffic, champion and answer agree, that "
        "callers are served, that holds hold, and that each promotion uses the bundle that it names. The app runs with "
        "shorter times than on Azure, which tests/chaos/hurried_app.py lists.",
    )
    parser.add_argument("--kills", type=_number, default=100, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn (default: a new one)")
    parser.add_argument("--lanes", type=_number, default=8, metavar="N", help="models (default: %(default)s)")
    parser.add_argument(
        "--round",
        type=_number,
        default=50,
        metavar="N",
        help="kills until everything is checked (default: %(default)s)",
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="a new one, for state and log (default: temporary)")
    chosen = parser.parse_args(arguments)
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**9)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="mlpromote-chaos-"))
    logging.basicConfig(level=logging.CRITICAL)
    _say(f"seed {seed}; log and state: {folder.resolve()}")
    plan = Plan(seed, chosen.kills, models_for(chosen.lanes), chosen.round)
    try:
        with redirect_stderr(io.StringIO()):  # the SDK prints empty lines there at each upload
            result = asyncio.run(_interruptible(run(plan, folder.resolve(), _say)))
    except asyncio.CancelledError:
        _say(f"Interrupted. Everything that was started has ended. Seed {seed}; log: {folder / 'chaos.log'}")
        return INTERRUPTED
    for violation in result.violations:
        _say(f"seed {seed}: {violation}")
    _say(f"{'VIOLATED' if result.violations else 'All invariants held'}. Seed {seed}; log: {folder / 'chaos.log'}")
    return 1 if result.violations else 0


def models_for(lanes: int) -> list[str]:
    """This many models, as many on each route."""
    routes = ("straight", "careful", "gradual")
    return [f"{routes[number % len(routes)]}-{number // len(routes) + 1}" for number in range(lanes)]


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


async def _interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Do the work; the first SIGINT or SIGTERM cancels it."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
