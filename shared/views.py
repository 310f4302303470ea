"""Promotions as the HTTP API shows them: JSON values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.core.journal import JournalEntry
from shared.core.promotion import STAGE_OCCUPIED, Promotion, StageRun, StepRun


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
    }


def details(promotion: Promotion, journal: Sequence[JournalEntry]) -> dict[str, Any]:
    """One promotion with its stages, steps, evidence and journal."""
    candidate = promotion.candidate
    return summary(promotion) | {
        "candidate": {
            "kind": candidate.kind,
            "name": candidate.name,
            "version": candidate.version,
            "environment": candidate.environment,
            "workspace": candidate.workspace,
        },
        "requestedBy": promotion.requested_by,
        "configuration": promotion.configuration,
        "stages": [_stage(stage) for stage in promotion.stages],
        "journal": [
            {"at": _time(entry.at), "stage": entry.stage, "step": entry.step, "what": entry.what, "text": entry.text}
            for entry in journal
        ],
    }


def _stage(stage: StageRun) -> Mapping[str, Any]:
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
        "steps": [_step(step) for step in stage.steps],
        "undoing": [_step(step) for step in stage.undoing],
    }


def _step(step: StepRun) -> Mapping[str, Any]:
    failure = step.failure
    return {
        "name": step.plan.name,
        "environment": step.plan.environment,
        "status": step.status,
        "started": _time(step.started),
        "ended": _time(step.ended),
        "says": step.says,
        "looks": step.look,
        "seconds": round(step.seconds, 3),
        "evidence": step.evidence,
        "failure": {"kind": failure.kind, "reason": failure.reason, "diagnosis": failure.diagnosis}
        if failure
        else None,
        "nextLook": _time(step.next_look),
        "deadline": _time(step.deadline),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
