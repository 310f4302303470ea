"""Which of several candidates is newer."""

from collections.abc import Iterable

from shared.core.messages import Candidate
from shared.core.plan import KINDS
from shared.core.promotion import Lane, Promotion
from shared.core.texts import LONGEST_NAME


def newest(promotions: Iterable[Promotion]) -> Promotion:
    """The one to go on, of promotions in the order in which they were requested: the highest version, else the last."""
    ordered = iter(promotions)
    latest = next(ordered)
    for other in ordered:
        if not is_newer(latest.candidate.version, other.candidate.version):
            latest = other
    return latest


def is_newer(version: str, other: str) -> bool:
    """Only whole numbers can be told apart; of other versions neither is newer."""
    known = (_number(version), _number(other))
    return known[0] is not None and known[1] is not None and known[0] > known[1]


def _number(version: str) -> int | None:
    """Python reads no number that is much longer, and nobody counts as far."""
    return int(version) if version.isdecimal() and len(version) <= LONGEST_NAME else None


def newer_version(lane: Lane, candidate: Candidate) -> str | None:
    """Why a candidate that nobody asked for comes too late, if it does: it would put an older version over a newer."""
    if not KINDS[candidate.kind].supersedes:
        return None
    for stage, champion in lane.champions.items():
        if is_newer(champion.candidate.version, candidate.version):
            return f"version {champion.candidate.version} is newer and already serves {stage}"
    for other in lane.under_way():
        if other.candidate.kind is candidate.kind and is_newer(other.candidate.version, candidate.version):
            return f"version {other.candidate.version} is newer and already on its way"
    return None
