"""Ids of promotions: the same for the same news, and each tells its lane."""

import re
from hashlib import sha256

from shared.core.messages import Candidate, LaneKey


def promotion_id(lane: LaneKey, candidate: Candidate, request: str = "") -> str:
    """A deterministic id, so that repeated news gives one promotion. A person's request adds its own text."""

    def slug(text: str, most: int) -> str:
        return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)[:most].strip("-")

    own = _digest(_OWN_DIGITS, candidate.kind, candidate.name, candidate.version, candidate.workspace.lower(), request)
    return f"{slug(candidate.name, 32)}-{slug(candidate.version, 12)}-{lane_digest(lane)}{own}".lower()


def lane_digest(lane: LaneKey) -> str:
    """Six hexadecimal digits that distinguish most lanes. The id of each promotion contains its lane's."""
    return _digest(_LANE_DIGITS, lane.route, lane.model)


def lane_digest_of(promotion: str) -> str | None:
    """The digest of a promotion's lane, read from the promotion's id; None if it is not such an id."""
    found = _PROMOTION_ID.fullmatch(promotion)
    return found[1] if found else None


#: In hexadecimal digits. The lane's part may be shared with other lanes; the promotion's own part must be unique.
_LANE_DIGITS, _OWN_DIGITS = 6, 20

_PROMOTION_ID = re.compile(rf"[a-z0-9-]{{0,60}}-([0-9a-f]{{{_LANE_DIGITS}}})[0-9a-f]{{{_OWN_DIGITS}}}")


def _digest(digits: int, *parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:digits]
