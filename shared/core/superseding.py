"""Newer candidates take the places of older ones. Part of the rules in `lane.py`.

- A version that is not known to exist (`precedence.py`) supersedes nothing. It waits beside the older ones, and enters
  the stage before them. As soon as it is known, it takes their places. If it fails before that, they are where they
  were.
- Of those known to exist that queue for a stage, only the newest continues.
- What waits in the stage for somebody else's job lets a newer one pass: it is superseded, or it queues again while
  nobody knows whether the newer one exists.
- Only a few versions that nobody has seen yet may wait at once, since a lane is loaded and saved with all of them.
"""

from collections.abc import Sequence

from shared.core.awaiting import awaiting, waits_for_others
from shared.core.events import NotNowError
from shared.core.going_back import turn_back
from shared.core.held_back import hold_on
from shared.core.messages import Kind
from shared.core.plan import KINDS
from shared.core.precedence import is_known, newest
from shared.core.promotion import Lane, Promotion, StageRun, StageStatus, StepRun
from shared.core.transitions import Trigger, end_stage
from shared.core.turn import Turn

#: How many promotions of a lane may be under way whose versions nobody has seen yet.
MOST_UNKNOWN = 8


def supersede(turn: Turn) -> None:
    """End those that queue for a stage, or wait in it for a job, and must make way for a newer one."""
    queues = _queues(turn.lane)
    for (_, name), queue in queues.items():
        _take_places(turn, name, queue)
    for promotion, stage, step in list(awaiting(turn.lane)):
        queue = [promotion, *queues.get((promotion.candidate.kind, stage.name), ())]
        if stage.status is StageStatus.RUNNING and waits_for_others(step):
            _let_pass(turn, turn.latest(promotion), stage, step, queue)


def take_over(turn: Turn, promotion: Promotion) -> None:
    """Have a promotion whose version has just become known take the places of those that queue for its stages."""
    queues = _queues(turn.lane)
    for stage in promotion.stages:
        if stage.status is StageStatus.RUNNING:
            waiting = {each.id for each in queues.get((promotion.candidate.kind, stage.name), ())}
            line = [each for each in turn.lane.under_way() if each.id in waiting or each.id == promotion.id]
            _take_places(turn, stage.name, line)


def goes_first(lane: Lane, promotion: Promotion, stage: StageRun) -> bool:
    """Whether none of those that queue for the stage is to enter it before this promotion."""
    queue = _queues(lane).get((promotion.candidate.kind, stage.name))
    return not queue or newest(queue).id == promotion.id


def check_room(lane: Lane, promotion: Promotion) -> None:
    """Raise `NotNowError` if too many versions are under way that nobody has seen yet, and this is another one."""
    unknown = [each.candidate.version for each in lane.under_way() if not is_known(each)]
    if len(unknown) >= MOST_UNKNOWN and KINDS[promotion.candidate.kind].supersedes and not is_known(promotion):
        raise NotNowError(
            f"people have started versions {', '.join(unknown)}, and no step has seen yet whether these exist. Cancel "
            "what is not wanted, or wait: each is looked for as soon as it enters its first stage"
        )


def _queues(lane: Lane) -> dict[tuple[Kind, str], list[Promotion]]:
    """Those that queue for each stage, in the order of request, of the kinds whose newest candidate supersedes."""
    queues: dict[tuple[Kind, str], list[Promotion]] = {}
    for promotion in lane.under_way():
        kind = promotion.candidate.kind
        if not KINDS[kind].supersedes:
            continue
        for stage in promotion.stages:
            if stage.status is StageStatus.QUEUED:
                queues.setdefault((kind, stage.name), []).append(promotion)
    return queues


def _takes_its_place(promotion: Promotion, line: Sequence[Promotion]) -> Promotion | None:
    """The newest of a line if it takes this promotion's place; None if this one keeps it."""
    latest = newest([each for each in line if each.id == promotion.id or is_known(each)])
    return latest if latest.id != promotion.id else None


def _take_places(turn: Turn, name: str, line: Sequence[Promotion]) -> None:
    for known in line:
        promotion, latest = turn.latest(known), _takes_its_place(known, line)
        stage = promotion.stage(name)
        if latest is None or stage is None or stage.status is not StageStatus.QUEUED:
            continue
        reason = f"version {latest.candidate.version} arrived before it could enter {name}"
        turn.note(promotion, "stage-superseded", reason, stage)
        turn.put(promotion, end_stage(stage, Trigger.NEWER_CAME, reason, turn.now))


def _let_pass(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun, line: Sequence[Promotion]) -> None:
    """Turn back a promotion that waits for a job: it has not begun, although it is in the stage, and a newer candidate
    need not wait for that job."""
    job = step.awaits.job if step.awaits is not None else ""
    latest, ends_as = _takes_its_place(promotion, line), StageStatus.SUPERSEDED
    if latest is None:
        latest, ends_as = newest(line), StageStatus.QUEUED
        if latest.id == promotion.id or hold_on(turn, latest, stage) is not None:
            return
    reason = f"version {latest.candidate.version} arrived while it waited for job {job} to end"
    turn.note(promotion, "gave-way", reason, stage)
    turn.put(promotion, turn_back(stage, ends_as, reason))
