"""What a run has done so far, and how it is told: a line as it goes on, and a summary at its end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.invariants import Violation
from tests.chaos.rerun_invariants import MONITOR, SCHEDULE
from tests.chaos.world import World

_WIDTH = 14


@dataclass
class Result:
    """The state of a run. What is told of promotions is as it was last looked at."""

    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)  #: promotions by status
    struck: Counter[str] = field(default_factory=Counter)  #: by step: commands whose delivery did nothing
    breached: Counter[str] = field(default_factory=Counter)  #: by step: live figures that were out of bounds
    waited: Counter[str] = field(default_factory=Counter)  #: by what stages have waited for
    ran_again: Counter[str] = field(default_factory=Counter)  #: pipelines, by what asked for it
    requests: int = 0
    holds: int = 0
    publications: int = 0
    calls: int = 0  #: of the endpoints' callers
    moves: int = 0  #: deployments of prod that were seen to get requests
    breaches: int = 0  #: of the monitor, for certain
    faults: int = 0
    rounds: int = 0  #: after each, everything has come to rest and was checked
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def progress(self) -> str:
        """One line."""
        ended = ", ".join(f"{number} {status}" for status, number in self.ended.most_common())
        return (
            f"{self.seconds:5.0f} s  {self.kills.total():4} kills, {self.requests} requests, {self.faults} faults; "
            f"promotions: {ended or 'none'}; {len(self.violations)} violations"
        )

    @property
    def summary(self) -> str:
        """Several lines."""
        return "\n".join(f"  {what:{_WIDTH}} {says}" for what, says in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "time", f"{self.seconds:.0f} s, {self.rounds} times at rest and checked"
        yield "kills", _counted(self.kills)
        yield "people", f"{self.requests} requests, {self.holds} about holds, {self.publications} to publish"
        yield "callers", f"{self.calls} calls"
        yield "faults", str(self.faults)
        yield "promotions", _counted(self.ended)
        yield "steps struck", _counted(self.struck)
        yield "figures", f"out of bounds: {_counted(self.breached)}"
        yield "waits", _counted(self.waited)
        yield "runs again", f"{_counted(self.ran_again)}; the monitor found drift {self.breaches} times"
        yield "moves", f"{self.moves} deployments got requests"
        yield "violations", str(len(self.violations))

    def look_at(self, world: World) -> None:
        """Count what the world shows."""
        self.ended = Counter(each.status for each in world.promotions)
        self.struck = struck(world)
        self.breached = breached(world)
        self.waited = waited(world)
        self.ran_again = ran_again(world)
        self.moves = sum(move.deployment is not None for move in world.moves)
        self.breaches = len(world.breaches)


def struck(world: World) -> Counter[str]:
    """By step: how often a journal says that its worker died, or that it came too late."""
    return Counter(
        line.step
        for promotion in world.promotions
        for line in promotion.journal
        if line.what == "retrying" and line.text.startswith((f"{line.step} was delivered", f"{line.step} reached its"))
    )


def breached(world: World) -> Counter[str]:
    """By step: how often live figures were out of bounds."""
    return Counter(
        step for promotion in world.promotions for stage in promotion.stages for step in sorted(stage.breached)
    )


def waited(world: World) -> Counter[str]:
    """How often stages have waited for a window, ended a soak, and met a hold."""
    lines = [line for promotion in world.promotions for line in promotion.journal]
    return Counter(
        {
            "window": sum(line.what == "waits" for line in lines),
            "soak": sum((line.what, line.step) == ("step-succeeded", "soak") for line in lines),
            "hold": sum(line.what == "held" for line in lines),
        }
    )


def ran_again(world: World) -> Counter[str]:
    """How often a pipeline has run again, by what asked for it."""
    asked = [each.requested_by for each in world.promotions if " runs again, by " in each.journal[0].text]
    return Counter("schedule" if by == SCHEDULE else "drift" if by.startswith(MONITOR) else "person" for by in asked)


def _counted(found: Counter[str]) -> str:
    named = ", ".join(f"{name} {number}" for name, number in found.most_common() if number)
    return f"{found.total()} ({named})" if named else "none"
