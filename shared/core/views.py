"""Promotions and lanes as the HTTP API shows them: JSON values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.core import alerting
from shared.core.approval import APPROVE, Approval, ApprovalEvidence, digest_in_environment
from shared.core.holds import Holds, OperatorHold
from shared.core.journal import JournalEntry
from shared.core.lane_notes import Hold
from shared.core.messages import Champion
from shared.core.promotion import STAGE_OCCUPIED, Lane, Promotion, StageRun, StageStatus, StepRun
from shared.core.waiting import waits


def summary(promotion: Promotion) -> dict[str, Any]:
    """A promotion in a list."""
    return {
        "id": promotion.id,
        "route": promotion.lane.route,
        "model": promotion.candidate.name,
        "version": promotion.candidate.version,
        "kind": promotion.candidate.kind,
        "status": promotion.status,
        "reason": promotion.reason,
        "created": _time(promotion.created),
        "updated": _time(promotion.updated),
        "stage": next((stage.name for stage in promotion.stages if stage.status in STAGE_OCCUPIED), None),
        "waits_for": _waits_for_time(promotion),
    }


def _waits_for_time(promotion: Promotion) -> str | None:
    """What keeps the promotion waiting although nothing is being done: a hold, a soak or a window, in words."""
    alone = Lane(promotion.lane, promotions=(promotion,))
    found = [f"{wait.stage}: {wait.what}" for wait in waits(alone, promotion) if wait.is_for_time]
    return "; ".join(found) or None


def details(promotion: Promotion, journal: Sequence[JournalEntry], lane: Lane) -> dict[str, Any]:
    """One promotion: what it waits for, its stages, steps, evidence, approvals and journal."""
    candidate = promotion.candidate
    return summary(promotion) | {
        "candidate": {
            "kind": candidate.kind,
            "name": candidate.name,
            "version": candidate.version,
            "environment": candidate.environment,
            "workspace": candidate.workspace,
        },
        "requested_by": promotion.requested_by,
        "configuration": promotion.configuration,
        "bundle": promotion.bundle or None,
        "waits": [
            {
                "stage": wait.stage,
                "for": wait.what,
                "since": _time(wait.since),
                "until": _time(wait.until),
                "ends": _time(wait.ends),
            }
            for wait in waits(lane, promotion)
        ],
        "alerts": [
            {
                "stage": stage,
                "rule": alert.rule,
                "text": alert.says,
                "at": _time(alert.at),
                "resolved": _time(alert.resolved),
            }
            for stage, alert in alerting.of(lane, promotion)
        ],
        "stages": [_stage(promotion, stage) for stage in promotion.stages],
        "journal": [
            {"at": _time(entry.at), "stage": entry.stage, "step": entry.step, "what": entry.what, "text": entry.text}
            for entry in journal
        ],
    }


def _stage(promotion: Promotion, stage: StageRun) -> Mapping[str, Any]:
    return {
        "name": stage.name,
        "environment": stage.environment,
        "endpoint": stage.endpoint or None,
        "after": list(stage.after),
        "status": stage.status,
        "started": _time(stage.started),
        "ended": _time(stage.ended),
        "reason": stage.reason,
        "attempt": stage.attempt,
        "replaces": stage.predecessor.candidate.version if stage.predecessor else None,
        "kept_until": _time(stage.kept_until),
        "approval": _approval(promotion, stage),
        "steps": [_step(step) for step in stage.steps],
        "undoing": [_step(step) for step in stage.undoing],
    }


def _approval(promotion: Promotion, stage: StageRun) -> Mapping[str, Any] | None:
    """The approvals that the stage requires and has; None if it requires none. `evidence`: what an approval is bound
    to."""
    step = next((step for step in stage.steps if step.plan.name == APPROVE), None)
    if step is None:
        return None
    asked = Approval.of(promotion, stage)
    evidence = ApprovalEvidence.of(step)
    return {
        "min": asked.least,
        "roles": list(asked.roles),
        "groups": list(asked.groups),
        "not_requester": asked.not_requester,
        "status": step.status,
        "taken_by": "coordinator" if step.plan.waits else "environment",
        "not_author": asked.not_author,
        "evidence": evidence.on or (None if step.plan.waits else digest_in_environment(stage)),
        "given": [
            {"id": one.id, "name": one.name, "at": _time(one.at), "reason": one.reason} for one in evidence.given
        ],
        "until": _time(step.deadline),
    }


def lane(lane: Lane, stages: Sequence[str], holds: Holds, now: datetime) -> dict[str, Any]:
    """A lane by its stages: first the configured ones, which `stages` names, in that order, then others with any state.
    A lane without a configured stage gets no new promotions. `holds`: those of operators."""
    of_promotions = [stage.name for promotion in lane.under_way() for stage in promotion.stages]
    names = dict.fromkeys([*stages, *lane.champions, *lane.holds, *of_promotions])
    return {
        "route": lane.key.route,
        "model": lane.key.model,
        "configured": bool(stages),
        "stages": [
            _stage_of_lane(lane, name, name in stages, holds.on(lane.key.route, lane.key.model, name, now))
            for name in names
        ],
    }


def _stage_of_lane(lane: Lane, name: str, configured: bool, held: OperatorHold | None) -> Mapping[str, Any]:
    theirs = [(promotion, stage) for promotion in lane.under_way() if (stage := promotion.stage(name)) is not None]
    champion, of_rollback = lane.champions.get(name), lane.holds.get(name)
    hold = _hold_of_rollback(of_rollback) if of_rollback else _hold(held) if held else None
    return {
        "name": name,
        "configured": configured,
        "champion": _champion(champion) if champion else None,
        "challengers": [_in_lane(promotion) for promotion, stage in theirs if stage.status in STAGE_OCCUPIED],
        "queue": [_in_lane(promotion) for promotion, stage in theirs if stage.status is StageStatus.QUEUED],
        "hold": hold,
    }


def _hold_of_rollback(hold: Hold) -> Mapping[str, Any]:
    shown = {"by": hold.by, "reason": hold.reason, "since": _time(hold.since), "promotion": hold.promotion}
    return {**shown, "scope": None, "until": None}


def _hold(hold: OperatorHold) -> Mapping[str, Any]:
    shown = {"by": hold.by, "reason": hold.reason, "since": _time(hold.since), "promotion": None}
    return {**shown, "scope": str(hold.scope), "until": _time(hold.until)}


def _champion(champion: Champion) -> Mapping[str, Any]:
    return {
        "promotion": champion.promotion,
        "version": champion.candidate.version,
        "since": _time(champion.since),
    }


def _in_lane(promotion: Promotion) -> Mapping[str, Any]:
    return {"promotion": promotion.id, "version": promotion.candidate.version, "kind": promotion.candidate.kind}


def _step(step: StepRun) -> Mapping[str, Any]:
    failure = step.failure
    return {
        "name": step.plan.name,
        "environment": step.plan.environment,
        "status": step.status,
        "started": _time(step.started),
        "ended": _time(step.ended),
        "says": step.says,
        "polls": step.poll,
        "seconds": round(step.seconds, 3),
        "evidence": step.evidence,
        "failure": {"kind": failure.kind, "reason": failure.reason, "diagnosis": failure.diagnosis}
        if failure
        else None,
        "next_poll": _time(step.next_poll),
        "deadline": _time(step.deadline),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
