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

from tests.chaos.result import Result
from tests.chaos.run import Plan, run

VIOLATED, INTERRUPTED = 1, 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every invariant held, 1 if not, 130 when interrupted. Raises whatever fails in the harness itself."""
    chosen = _parser().parse_args(arguments)
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**9)
    folder = (chosen.folder or Path(tempfile.mkdtemp(prefix="mlpromote-chaos-"))).resolve()
    logging.disable()  # the SDKs warn of faults, which are meant here
    again = (
        f"{sys.executable} -m tests.chaos --seed {seed} --kills {chosen.kills} --lanes {chosen.lanes} "
        f"--round {chosen.round}"
    )
    _say(f"seed {seed}; log and state: {folder}")
    plan = Plan(seed, chosen.kills, models_for(chosen.lanes), chosen.round)
    try:
        with redirect_stderr(io.StringIO()):  # the SDK prints empty lines there at each upload
            result = asyncio.run(_interruptible(run(plan, folder, _say)))
    except asyncio.CancelledError:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the loop no longer takes them, and the exit code is to tell why
        _say(f"Interrupted. Everything that was started has ended. Log and state: {folder}")
        return INTERRUPTED
    except Exception:
        _say(f"The harness itself failed. Log and state: {folder}\nThe same again: {again}")
        raise
    for violation in result.violations:
        _say(str(violation))
    if result.violations:
        _say(f"VIOLATED. Log, state and world.txt: {folder}\nThe same kills again: {again}")
        return VIOLATED
    _say(f"All invariants held. Seed {seed}; log: {folder / 'chaos.log'}")
    return 0


def models_for(lanes: int) -> list[str]:
    """This many models, as many on each route."""
    routes = ("straight", "careful", "gradual", "windowed", "batch")
    return [f"{routes[number % len(routes)]}-{number // len(routes) + 1}" for number in range(lanes)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Runs a local cloud with many lanes, kills its parts at random, plays people, callers, a monitor "
        "and faults, and checks that nothing is lost, doubled, stuck or orphaned, that traffic, champion and answer "
        "agree, that callers are served, that holds, windows and soaks are kept, that pipelines run again when they "
        "should, and that each promotion uses the bundle that it names. The app runs with shorter times than on Azure, "
        "which tests/chaos/hurried_app.py lists. Exit code: 0 if everything held, 1 if not, 130 when interrupted.",
    )
    parser.add_argument("--kills", type=_number, default=100, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn (default: a new one)")
    parser.add_argument(
        "--lanes", type=_number, default=10, metavar="N", help="models, on five routes in turn (default: %(default)s)"
    )
    parser.add_argument(
        "--round",
        type=_number,
        default=50,
        metavar="N",
        help="kills until everything is checked (default: %(default)s)",
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="a new one, for state and log (default: temporary)")
    return parser


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


async def _interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Do the work; the first SIGINT or SIGTERM cancels it. Others must not disturb what ends the parts."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

    def end() -> None:
        _say("Ending: the parts are being stopped.")
        for number in _SIGNALS:
            loop.add_signal_handler(number, _say, "Still ending.")
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    return await task


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
