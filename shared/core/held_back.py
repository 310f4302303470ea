"""What a hold keeps waiting: promotions that would enter a stage, or that only wait in it. Part of the rules in
`lane.py`; `holds.py` says which holds there are.

The stage records the hold that it met, so that views and the timer know it without reading the holds again.
"""

from datetime import timedelta

from shared.core.plan import KINDS
from shared.core.promotion import Held, Promotion, StageRun
from shared.core.replacing import replace
from shared.core.turn import Turn

#: Whoever releases a hold wakes the lanes at once. A lane looks again after this time if that did not happen.
LOOK_AGAIN = timedelta(minutes=10)


def held_back(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun | None:
    """The stage with the hold that keeps it waiting; None if there is none."""
    hold = hold_on(turn, promotion, stage)
    if hold is None:
        return None
    known = stage.held
    if known is not None and hold.is_same(known) and (known.look_again is None or turn.now < known.look_again):
        return stage
    if known is None or not hold.is_same(known):
        until = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold.until else ""
        turn.note(promotion, "held", f"the hold on {hold.scope}{until}, set by {hold.by}: {hold.reason}", stage)
    return replace(stage, held=hold)


def hold_on(turn: Turn, promotion: Promotion, stage: StageRun) -> Held | None:
    """The hold on a stage of a promotion: that of a rollback, else one of operators."""
    if not KINDS[promotion.candidate.kind].is_held:
        return None
    of_lane = turn.lane.holds.get(stage.name)
    if of_lane is not None:
        return Held(stage.name, of_lane.by, of_lane.reason, of_lane.since)
    found = turn.holds.on(promotion.lane.route, promotion.lane.model, stage.name, turn.now)
    if found is None:
        return None
    return Held(str(found.scope), found.by, found.reason, found.since, found.until, turn.now + LOOK_AGAIN)


def let_go(stage: StageRun) -> StageRun:
    """The stage without a hold that it met before."""
    return stage if stage.held is None else replace(stage, held=None)
