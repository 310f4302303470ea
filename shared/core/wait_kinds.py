"""How a step that only waits begins, is looked at, and is given up: one row for each kind of wait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.core import approving, soaking
from shared.core.messages import Failed
from shared.core.plan import WaitsFor
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.turn import Turn


@dataclass(frozen=True)
class WaitRules:
    """The rules for one kind of wait. Such a step is `RUNNING` without a command."""

    #: The step as it begins, from the step as a worker's would begin.
    begin: Callable[[Turn, Promotion, StageRun, StepRun], StepRun]
    #: The stage after a look at whether the wait is over: the same object if nothing has changed.
    look: Callable[[Turn, Promotion, StageRun, StepRun], StageRun]
    #: Why it has failed at its deadline.
    give_up: Callable[[Promotion, StageRun, StepRun], Failed]


def _as_it_is(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> StageRun:
    """People end the wait, not the time."""
    return stage


WAITS: Mapping[WaitsFor, WaitRules] = {
    WaitsFor.PEOPLE: WaitRules(approving.begin, _as_it_is, approving.too_late),
    WaitsFor.TIME: WaitRules(
        lambda turn, promotion, stage, step: step, soaking.soak, lambda promotion, stage, step: soaking.too_long(step)
    ),
}
