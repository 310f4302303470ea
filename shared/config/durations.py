"""Durations as people write them in the configuration: `500ms`, `30s`, `20m`, `2h`, `3d`."""

import re
from datetime import timedelta

#: The units, largest first, and the length of each.
UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}

#: No wait of a promotion is longer; more is a typing error.
LONGEST = timedelta(days=365)

PATTERN = r"[0-9]{1,12}(ms|s|m|h|d)"

_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")


def parse(text: object) -> timedelta:
    """Parse a duration: positive and at most a year. Raises ValueError that says what is wrong."""
    written = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if written is None:
        raise ValueError("must be a duration: a whole number and ms, s, m, h or d, such as 500ms, 30s, 20m, 2h or 3d")
    number, unit = int(written[1]), written[2]
    if number == 0:
        raise ValueError("must be positive")
    if number > LONGEST // UNITS[unit]:
        raise ValueError(f"must not be longer than {LONGEST.days}d")
    return number * UNITS[unit]


def text(duration: timedelta) -> str:
    """Return the shortest exact form of `duration`, which `parse` reads back. Drops fractions of a millisecond."""
    unit = next((unit for unit, length in UNITS.items() if not duration % length), "ms")
    return f"{duration // UNITS[unit]}{unit}"
