"""Where things are in the table: partition and row keys.

A lane, its promotions and their journals are in one partition, so that one transaction writes them. The partition is
named by the lane's digest, which every id of a promotion carries: who knows the id knows the partition. Two lanes of
the same digest share a partition and do not disturb each other.

Names stand in keys as they are, so that rows sort as names do, except for characters outside of letters, digits, full
stop, hyphen and underscore, which are escaped, and for what is too long. `!` separates: it sorts before all of them.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.core.messages import LaneKey
from shared.core.promotion import lane_digest, lane_digest_of

#: Sorts after whatever may follow a separator.
LAST = "~"

#: A key has at most 1 KiB, that is 512 characters; the longest has two names and less than 100 characters more.
LONGEST_NAME = 200
_DIGEST_DIGITS = 32

_AS_IT_IS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_MICROSECONDS = 10**18 - 1

_ID_LETTERS = "-0123456789abcdefghijklmnopqrstuvwxyz"
_INVERTED = str.maketrans(_ID_LETTERS, _ID_LETTERS[::-1])


def escaped(name: str) -> str:
    """The name as a part of a key; one that is too long ends in a digest of it all."""
    text = "".join(letter if letter in _AS_IT_IS else f"={letter.encode().hex()}" for letter in name)
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: LONGEST_NAME - _DIGEST_DIGITS - 1]}={sha256(name.encode()).hexdigest()[:_DIGEST_DIGITS]}"


def lane_partition(lane: LaneKey) -> str:
    """Where a lane is, with all of its promotions."""
    return f"lane-{lane_digest(lane)}"


def promotion_partition(promotion: str) -> str | None:
    """Where the promotion of this id is; None for what is no id of a promotion."""
    digest = lane_digest_of(promotion)
    return f"lane-{digest}" if digest else None


def lane_row(lane: LaneKey) -> str:
    return f"lane!{lane_name(lane)}"


def lane_name(lane: LaneKey) -> str:
    """Sorts by route, then by model."""
    return f"{escaped(lane.route)}!{escaped(lane.model)}"


def promotion_row(promotion: str) -> str:
    return f"promotion!{promotion}"


def journal_row(promotion: str, number: int) -> str:
    """Sorts after the promotion and its document, by number."""
    return f"{promotion_row(promotion)}!journal!{number:08}"


def newest_first(created: datetime, promotion: str) -> str:
    """Sorts by descending time, then by descending id."""
    ago = _MOST_MICROSECONDS - (created - _EPOCH) // _MICROSECOND
    return f"{ago:018}!{promotion.translate(_INVERTED)}{LAST}"


def minute(moment: datetime) -> str:
    """The beginning of the moment's minute, in UTC; sorts as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
