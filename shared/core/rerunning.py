"""Runs a stage's champion pipeline again: by schedule, for drift, or because a person asks. Part of the rules in
`lane.py`.

- The champion runs again under its existing approval. Each run is a promotion of its own, which starts where the
  stage's data is looked up. Runs of one stage queue up, and a failed run does not change the champion.
- A schedule counts from the last run, whatever its cause, so several runs missed during a downtime become one.
- Drift lasts until the monitor's window has moved on, so its reports repeat. A run for drift therefore starts only
  after a pause, and only a limited number of times a month.
- No run starts by itself for a stage that is held.
- A person may ask at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.approval import APPROVE
from shared.core.events import NotNowError, RunAsked
from shared.core.lane_notes import AskedRun, Cause
from shared.core.messages import Champion, Evidence, Kind, as_evidence
from shared.core.plan import KINDS
from shared.core.promotion import Promotion, StageRun, StepRun, StepStatus
from shared.core.promotion_ids import promotion_id
from shared.core.replacing import replace
from shared.core.turn import Turn
from shared.core.wire import from_json

MONTH = timedelta(days=30)
#: Runs kept for each stage: more than a month allows.
MOST_REMEMBERED = 50

#: The step of a run that reviews everything that people approve.
INSPECT = next(step.name for step in KINDS[Kind.PIPELINE].plan if step.reviews)


@dataclass(frozen=True)
class ApprovedBefore:
    """What was approved, for a run under the approval of an earlier run."""

    promotion: str  #: the promotion that was approved
    inspected: Evidence  #: what people saw


@dataclass(frozen=True)
class _Approval:
    """The part of an approval's evidence that names the earlier run."""

    before: ApprovedBefore | None = None


def approved_before(evidence: Mapping[str, Evidence]) -> ApprovedBefore | None:
    """Return the earlier approval from a run's evidence by step; None if people were asked about this run."""
    return from_json(_Approval, evidence.get(APPROVE, {})).before


def ask(turn: Turn, event: RunAsked) -> None:
    """Start a run if it is due."""
    champion = turn.lane.champions.get(event.stage.name)
    if champion is None or champion.candidate.kind is not Kind.PIPELINE:
        if event.cause is Cause.PERSON:
            raise NotNowError(f"nothing has run in {event.stage.name} yet: promote a pipeline first")
        return
    if not _is_time(turn, event, champion) or (event.cause is not Cause.PERSON and _is_held(turn, event)):
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
        bundle=event.bundle,
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


def _is_held(turn: Turn, event: RunAsked) -> bool:
    stage, lane = event.stage.name, event.lane
    return stage in turn.lane.holds or turn.holds.on(lane.route, lane.model, stage, turn.now) is not None


def _again(stage: StageRun, champion: Champion, turn: Turn) -> StageRun:
    """Return the stage with the champion's known steps as done: where it came from, and its approval."""
    done: list[StepRun] = []
    left: list[StepRun] = []
    for step in stage.steps:
        evidence = champion.evidence.get(step.plan.name)
        if step.plan.name == APPROVE and evidence is not None:
            evidence = _as_before(evidence, champion)
        if evidence is not None and (step.plan.at_source or step.plan.name == APPROVE):
            ended = replace(step, status=StepStatus.SUCCEEDED, started=turn.now, ended=turn.now, evidence=evidence)
            done.append(replace(ended, plan=replace(step.plan, waits=False)))
        else:
            left.append(step)
    return replace(stage, steps=(*done, *left))


def _as_before(evidence: Evidence, champion: Champion) -> Evidence:
    """Return the approval to rely on. If the champion itself ran under an earlier approval, that one still counts."""
    if approved_before({APPROVE: evidence}) is not None:
        return evidence
    before: Any = ApprovedBefore(champion.promotion, champion.evidence.get(INSPECT, {}))
    return {**evidence, "before": as_evidence(before)}
