"""Each violation of what must hold of rollouts is reported as what it is, and nothing else is."""

from dataclasses import replace

import pytest

from tests.chaos.invariants import violations
from tests.chaos.test_invariants import CHAMPION, FIRST, MODEL, REPLACED, SECOND, SOUND, STAGE
from tests.chaos.world import Failure, Line, Stage, World

REPLACING = Stage(STAGE, "succeeded", replaces="1")


def with_replaced(*lines: Line, **more: object) -> World:
    """With a first promotion that ended in another way."""
    changed = replace(REPLACED, journal=(*REPLACED.journal, *lines), **more)  # type: ignore[arg-type]
    return replace(SOUND, promotions=(CHAMPION, changed))


def with_champion(stage: Stage, **more: object) -> World:
    champion = replace(CHAMPION, stages=(stage,))
    return replace(SOUND, promotions=(champion, REPLACED), **more)  # type: ignore[arg-type]


BROKEN = {
    f"unserved: a request to {MODEL} was answered with 404 by no deployment": replace(
        SOUND, failures=(Failure(MODEL, "", 404, ""),)
    ),
    f"unserved: a request to {MODEL} was answered with it was closed by v2-b": replace(
        SOUND, failures=(Failure(MODEL, "v2-b", 0, "it was closed"),)
    ),
    "unserved: m sends requests to v9-x, which is not there": replace(
        SOUND, misdirected=("m sends requests to v9-x, which is not there",)
    ),
    f"unsafe: {SECOND} serves prod in place of version 1, and fails on purpose": with_champion(
        REPLACING, failing=frozenset({(MODEL, "2")})
    ),
    f"unsafe: {SECOND} has succeeded in prod though rollout-2, watch refused": with_champion(
        replace(REPLACING, breached=frozenset({"watch", "rollout-2"}))
    ),
    f"unexplained: {FIRST} has succeeded, and its stages have not: prod skipped": with_replaced(
        stages=(Stage(STAGE, "skipped"),)
    ),
    f"unexplained: {FIRST} is refused in prod, and no line of its journal says why": with_replaced(
        status="refused", stages=(Stage(STAGE, "refused"),)
    ),
    f"unexplained: {FIRST} is rolled-back in prod, and no line of its journal says why": with_replaced(
        status="rolled-back", stages=(Stage(STAGE, "rolled-back"),)
    ),
    f"unexplained: {FIRST} failed in prod.share: bug: share failed: KeyError": with_replaced(
        Line("step-failed", "bug: share failed: KeyError", STAGE, "share"),
        status="failed",
        stages=(Stage(STAGE, "failed"),),
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    assert [str(each) for each in violations(BROKEN[text])] == [text]


@pytest.mark.parametrize(
    "sound",
    [
        with_champion(replace(REPLACING, replaces=None), failing=frozenset({(MODEL, "2")})),
        with_champion(replace(REPLACING, replaces=None, breached=frozenset({"watch"}))),
        with_replaced(
            Line("step-failed", "error_rate is 50 %", STAGE, "rollout-2"),
            status="refused",
            stages=(Stage(STAGE, "refused", replaces="0", breached=frozenset({"rollout-2"})),),
        ),
        with_replaced(Line("cancelled", "alice: why"), status="cancelled", stages=(Stage(STAGE, "cancelled"),)),
    ],
    ids=["nothing served before", "nothing to go back to", "it was refused", "it was cancelled"],
)
def test_what_must_end_so_is_no_violation(sound: World) -> None:
    assert violations(sound) == []


def test_what_is_kept_is_not_at_rest() -> None:
    assert not with_champion(replace(REPLACING, keeps=True)).is_at_rest
