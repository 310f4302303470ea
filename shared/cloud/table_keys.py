"""The partition and row keys of the table.

A lane, its promotions and their journals are in one partition, so that one transaction writes them. The partition's
name is the lane's digest, which is part of every promotion's id: the id is enough to find the partition. Two lanes with
the same digest share a partition without disturbing each other.

Names appear in keys unchanged, so that rows sort like names. Exceptions: characters other than letters, digits, full
stop, hyphen and underscore are escaped, and long names are shortened. `!` is the separator: it sorts before all of
them.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.core.messages import LaneKey
from shared.core.promotion_ids import lane_digest, lane_digest_of

#: Sorts after everything that may follow a separator.
LAST = "~"

#: A key has at most 1 KiB, or 512 characters. The longest has two names and fewer than 100 other characters.
LONGEST_NAME = 200
_DIGEST_DIGITS = 32

_AS_IT_IS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_MICROSECONDS = 10**18 - 1

_ID_LETTERS = "-0123456789abcdefghijklmnopqrstuvwxyz"
_INVERTED = str.maketrans(_ID_LETTERS, _ID_LETTERS[::-1])


def escaped(name: str) -> str:
    """The name as part of a key. One that is too long is shortened and ends in a digest of the whole."""
    text = "".join(letter if letter in _AS_IT_IS else f"={letter.encode().hex()}" for letter in name)
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: LONGEST_NAME - _DIGEST_DIGITS - 1]}={sha256(name.encode()).hexdigest()[:_DIGEST_DIGITS]}"


def lane_partition(lane: LaneKey) -> str:
    """The partition of a lane and all its promotions."""
    return f"lane-{lane_digest(lane)}"


def promotion_partition(promotion: str) -> str | None:
    """The partition of a promotion; None if the text is not a promotion's id."""
    digest = lane_digest_of(promotion)
    return f"lane-{digest}" if digest else None


def lane_row(lane: LaneKey) -> str:
    return f"lane!{lane_name(lane)}"


def lane_name(lane: LaneKey) -> str:
    """A lane's name in keys. Sorts by route, then by model."""
    return f"{escaped(lane.route)}!{escaped(lane.model)}"


def promotion_row(promotion: str) -> str:
    return f"promotion!{promotion}"


def journal_row(promotion: str, number: int) -> str:
    """The row of a journal line. Sorts after the promotion and its document, by number."""
    return f"{promotion_row(promotion)}!journal!{number:08}"


def newest_first(created: datetime, promotion: str) -> str:
    """A row key that sorts by descending time, then by descending id."""
    ago = _MOST_MICROSECONDS - (created - _EPOCH) // _MICROSECOND
    return f"{ago:018}!{promotion.translate(_INVERTED)}{LAST}"


def minute(moment: datetime) -> str:
    """The start of the time's minute, in UTC. Sorts like times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
