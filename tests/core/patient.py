"""Promotions whose stages wait for a time, for the tests of that."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.core.events import LaneEvent, PromotionRequested, TimePassed
from shared.core.holds import NO_HOLDS, Holds
from shared.core.lane import decide, wake_at
from shared.core.promotion import Lane, Promotion, StageRun
from shared.core.replacing import replace
from shared.core.waiting import waits
from shared.core.window import Window
from tests.core.driver import Answers, LaneDriver, success
from tests.core.world import KEY, TEST_THEN_PROD, requested

DAY = timedelta(days=1)
#: `NOW` is a Friday, 12:00 UTC.
MONDAY_MORNING = Window((0,), 9 * 60, 12 * 60, "Europe/Berlin")
MONDAY_9 = datetime.fromisoformat("2026-11-23T08:00+00:00")


class PatientDriver(LaneDriver):
    """Drives a lane with the holds of operators, and lets time pass up to when the lane wants to be woken."""

    def __init__(self, lane: Lane | None = None, answers: Answers = success, holds: Holds = NO_HOLDS) -> None:
        super().__init__(lane or Lane(KEY), answers)
        self.holds = holds
        self.journal: list[str] = []

    def apply(self, event: LaneEvent) -> None:
        decision = decide(self.lane, event, self.now, self.holds)
        self.lane = decision.lane
        self.journal += [f"{entry.stage} {entry.what}: {entry.text}" for entry in decision.journal]

    def take(self, event: LaneEvent) -> Lane:
        """Apply the event, and go on until nothing is in flight."""
        self.apply(event)
        return self.run()

    def pass_time(self, by: timedelta | None = None) -> Lane:
        """Let so much time pass, else the time until the lane wants to be woken; then go on."""
        until = self.now + by if by is not None else wake_at(self.lane)
        assert until is not None
        self.now = max(self.now, until)
        return self.take(TimePassed(KEY))


def patient(
    version: str = "1",
    soak: timedelta = timedelta(0),
    windows: tuple[Window, ...] = (),
    stages: Mapping[str, tuple[str, ...]] = TEST_THEN_PROD,
    asked: tuple[str, ...] = (),
) -> PromotionRequested:
    """A request whose stages after the first one soak, and whose stage prod has windows."""
    event = requested(version, stages, asked=asked)

    def stage(run: StageRun) -> StageRun:
        if not run.after or not soak:
            return replace(run, windows=windows if run.name == "prod" else ())
        soaking = requested(version, stages, asked=("soak", *asked)).promotion
        steps = next(other.steps for other in soaking.stages if other.name == run.name)
        return replace(run, steps=steps, soak=soak, windows=windows if run.name == "prod" else ())

    return replace(event, promotion=replace(event.promotion, stages=tuple(map(stage, event.promotion.stages))))


def prod(lane: Lane, version: str = "1") -> StageRun:
    found = the(lane, version).stage("prod")
    assert found is not None
    return found


def the(lane: Lane, version: str = "1") -> Promotion:
    return next(each for each in lane.promotions if each.candidate.version == version)


def waits_for(lane: Lane, version: str = "1") -> str:
    """What the promotion waits for, in words."""
    return "; ".join(f"{wait.stage} waits for {wait.what}" for wait in waits(lane, the(lane, version)))
