"""Runs of a pipeline that has run in a stage before: by its schedule, for drift, or because a person asks. Part of the
rules in `lane.py`.

- The stage's champion runs again, under the approval that it was given. Each run is a promotion of its own, which
  begins where the stage's data is looked up. Those of one stage queue, and one that fails changes no champion.
- A schedule counts from the last run of any cause, so what a downtime missed runs once.
- Drift lasts until a monitor's window has moved on, so that its reports are the same news for a while: a run for drift
  comes only after a pause, and within a month only so often.
- A person may ask at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.core.approval import APPROVE
from shared.core.events import NotNowError, RunAsked
from shared.core.messages import Champion, Evidence, Kind, as_evidence
from shared.core.plan import KINDS
from shared.core.promotion import AskedRun, Cause, Promotion, StageRun, StepRun, StepStatus, promotion_id
from shared.core.turn import Turn
from shared.core.wire import from_json

MONTH = timedelta(days=30)
#: Of a stage: more than a month may have.
MOST_REMEMBERED = 50

#: The step of a run that looks at all that people approve.
INSPECT = next(step.name for step in KINDS[Kind.PIPELINE].plan if step.reviews)


@dataclass(frozen=True)
class ApprovedBefore:
    """What was approved, where the approval is of an earlier run."""

    promotion: str  #: whose approval it is
    inspected: Evidence  #: what people saw


@dataclass(frozen=True)
class _Approval:
    """The part of an approval's evidence that says so."""

    before: ApprovedBefore | None = None


def approved_before(evidence: Mapping[str, Evidence]) -> ApprovedBefore | None:
    """What a run rests on by its evidence, by step; None for a run that people were asked about."""
    return from_json(_Approval, evidence.get(APPROVE, {})).before


def ask(turn: Turn, event: RunAsked) -> None:
    """Start a run, if it is time for it."""
    champion = turn.lane.champions.get(event.stage.name)
    if champion is None or champion.candidate.kind is not Kind.PIPELINE:
        if event.cause is Cause.PERSON:
            raise NotNowError(f"nothing has run in {event.stage.name} yet: promote a pipeline first")
        return
    if not _is_time(turn, event, champion):
        return
    stage = _again(event.stage, champion, turn)
    request = f"{event.stage.name} {event.cause} {turn.now.isoformat()}"
    promotion = Promotion(
        promotion_id(event.lane, champion.candidate, request),
        event.lane,
        champion.candidate,
        (stage,),
        event.requested_by,
        event.configuration,
        turn.now,
        turn.now,
        requester=event.requester,
    )
    why = f": {event.reason}" if event.reason else ""
    turn.note(promotion, "requested", f"{promotion.candidate.name} runs again, by {event.requested_by}{why}", stage)
    turn.put(promotion)
    known = (*turn.lane.runs.get(stage.name, ()), AskedRun(turn.now, event.cause))[-MOST_REMEMBERED:]
    turn.lane = replace(turn.lane, runs={**turn.lane.runs, stage.name: known})


def _is_time(turn: Turn, event: RunAsked, champion: Champion) -> bool:
    runs = turn.lane.runs.get(event.stage.name, ())
    if event.cause is Cause.SCHEDULE:
        return turn.now - max([champion.since, *(each.at for each in runs)]) >= event.pause
    if event.cause is Cause.DRIFT:
        drifts = [each.at for each in runs if each.cause is Cause.DRIFT]
        in_month = sum(turn.now - at < MONTH for at in drifts)
        return (not drifts or turn.now - drifts[-1] >= event.pause) and in_month < event.most_in_month
    return True


def _again(stage: StageRun, champion: Champion, turn: Turn) -> StageRun:
    """The stage with what is known of the champion before its first step: where it came from, and its approval."""
    done: list[StepRun] = []
    left: list[StepRun] = []
    for step in stage.steps:
        evidence = champion.evidence.get(step.plan.name)
        if step.plan.name == APPROVE and evidence is not None:
            evidence = _as_before(evidence, champion)
        is_known = evidence is not None and (step.plan.at_source or step.plan.name == APPROVE)
        if is_known and evidence is not None:
            ended = replace(step, status=StepStatus.SUCCEEDED, started=turn.now, ended=turn.now, evidence=evidence)
            done.append(replace(ended, plan=replace(step.plan, waits=False)))
        else:
            left.append(step)
    return replace(stage, steps=(*done, *left))


def _as_before(evidence: Evidence, champion: Champion) -> Evidence:
    """The champion may itself be a run under an earlier approval: then that one goes on to count."""
    if approved_before({APPROVE: evidence}) is not None:
        return evidence
    before: Any = ApprovedBefore(champion.promotion, champion.evidence.get(INSPECT, {}))
    return {**evidence, "before": as_evidence(before)}
