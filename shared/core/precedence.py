"""Which of several candidates is newer, and which of them are known to exist."""

from collections.abc import Iterable

from shared.core.messages import Candidate
from shared.core.plan import KINDS
from shared.core.promotion import Lane, Promotion, StepStatus
from shared.core.texts import LONGEST_NAME


def newest(promotions: Iterable[Promotion]) -> Promotion:
    """The promotion that should continue: the highest version, else the last. Expects them in the order of request."""
    ordered = iter(promotions)
    latest = next(ordered)
    for other in ordered:
        if not is_newer(latest.candidate.version, other.candidate.version):
            latest = other
    return latest


def is_newer(version: str, other: str) -> bool:
    """Whether a version is newer. Only whole numbers are ordered; of other versions, neither is newer."""
    known = (_number(version), _number(other))
    return known[0] is not None and known[1] is not None and known[0] > known[1]


def _number(version: str) -> int | None:
    """The version as a number. Longer ones do not count: Python limits their length, and nobody counts that far."""
    return int(version) if version.isdecimal() and len(version) <= LONGEST_NAME else None


def is_known(promotion: Promotion) -> bool:
    """Whether its version is known to exist. A person can name any version: it is known once a step has read it."""
    return not promotion.by_person or was_found(promotion)


def was_found(promotion: Promotion) -> bool:
    """Whether a step has read its version: the step has succeeded, or at least found its work under way."""
    return any(
        step.seen_running is not None or step.status is StepStatus.SUCCEEDED
        for stage in promotion.stages
        for step in stage.steps
        if not step.plan.waits
    )


def newer_version(lane: Lane, candidate: Candidate) -> str | None:
    """Why a candidate without a person's request comes too late; None if it does not. It must not replace a newer
    version that is known to exist."""
    if not KINDS[candidate.kind].supersedes:
        return None
    for stage, champion in lane.champions.items():
        if is_newer(champion.candidate.version, candidate.version):
            return f"version {champion.candidate.version} is newer and already serves {stage}"
    for other in lane.under_way():
        is_of_kind = other.candidate.kind is candidate.kind
        if is_of_kind and is_newer(other.candidate.version, candidate.version) and is_known(other):
            return f"version {other.candidate.version} is newer and already on its way"
    return None
