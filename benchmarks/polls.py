"""Polls of a deployment, with a simulated clock: how many, and how long its end goes unnoticed.

Each lane deploys again and again; how long Azure ML takes is drawn at random around 15 minutes, and around one. The
rules and the worker's pauses are the app's own. Beside them the same times with pauses that know nothing of the lane.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.figures import Finding, Table
from benchmarks.progress import Progress
from shared.core.messages import Outcome, RunStep, Succeeded
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.worker.polls import poll_again
from tests.core.driver import LaneDriver
from tests.core.world import KEY, NOW, requested

LANES, PROMOTIONS = 10, 20
SEED = 9
USUAL = (timedelta(minutes=1), timedelta(minutes=15))
#: Standard deviation of the logarithm: about the part of the usual time by which times differ.
SPREADS = (0.02, 0.05, 0.1, 0.2)
#: Between the moment for which a poll was planned and the moment from which the next pause counts.
POLL_TAKES = timedelta(seconds=0.4)
#: Of a deployment of 15 minutes, half of all times.
MOST_POLLS, MOST_SECONDS = 12, 10.0


@dataclass
class Deployments(LaneDriver):
    """A lane whose one step takes as long as Azure ML takes. Notes each time's polls and the seconds until its end was
    known."""

    takes: Callable[[], float]  #: seconds
    knows: bool  #: whether the step is told what its lane expects
    lane: Lane = field(default_factory=lambda: Lane(KEY))
    polls: list[int] = field(default_factory=list)
    unnoticed: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.lane, self._look, NOW, POLL_TAKES)

    def promote(self, version: int) -> None:
        self._seconds = self.takes()
        self.apply(requested(str(version), {"prod": ()}, steps=("deploy",)))
        self.run()

    def _look(self, command: RunStep) -> Outcome:
        elapsed = (self.now - command.started).total_seconds()
        if elapsed < self._seconds:
            return poll_again(command if self.knows else replace(command, expects=None), "deployment: Creating")
        self.polls.append(command.poll)
        self.unnoticed.append(elapsed - self._seconds)
        return Succeeded()


@dataclass(frozen=True)
class Polled:
    """What many promotions had: every promotion of a lane but its first, of which nothing was known."""

    polls: list[int]
    unnoticed: list[float]  #: seconds


def polled(usual: timedelta, spread: float, knows: bool) -> Polled:
    found = Polled([], [])
    chance = random.Random(SEED)
    for _ in range(LANES):
        lane = Deployments(lambda: chance.lognormvariate(math.log(usual.total_seconds()), spread), knows)
        for version in range(1, PROMOTIONS + 1):
            lane.promote(version)
        found.polls.extend(lane.polls[1:])
        found.unnoticed.extend(lane.unnoticed[1:])
    return found


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    rows = []
    for done, usual in enumerate(USUAL):
        for spread in SPREADS:
            progress(done, len(USUAL), f"deployments of {usual}")
            ours, others = (polled(usual, spread, knows) for knows in (True, False))
            rows.append((f"{usual.total_seconds() / 60:g}", f"{spread:.0%}", *_cells(ours), *_cells(others)))
    note = (
        "Medians, and in brackets what nine in ten stay within. Asked of a deployment of 15 minutes: at most "
        f"{MOST_POLLS} polls and {MOST_SECONDS:g} s, half of all times. {LANES} lanes of {PROMOTIONS} promotions each, "
        f"seed {SEED}; the first of a lane is left out."
    )
    columns = ("minutes", "differ by", "polls", "s unnoticed", "polls, nothing known", "s unnoticed, nothing known")
    return [Table("Polls of a deployment, with a simulated clock", columns, rows, note)]


def _cells(found: Polled) -> tuple[str, str]:
    def within(values: list[float]) -> float:
        return sorted(values)[int(0.9 * len(values))]

    counts = [float(each) for each in found.polls]
    return (
        f"{median(counts):g} ({within(counts):g})",
        f"{median(found.unnoticed):.1f} ({within(found.unnoticed):.1f})",
    )
