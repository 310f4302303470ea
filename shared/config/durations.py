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

#: No wait of a promotion is longer; more is a slip of the pen.
LONGEST = timedelta(days=365)

PATTERN = r"[0-9]{1,12}(ms|s|m|h|d)"

_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")


def parse(text: object) -> timedelta:
    """The length of time that `text` names: more than nothing and at most a year. ValueError says what is wrong."""
    written = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if written is None:
        raise ValueError("must be a duration: a whole number and ms, s, m, h or d, as in 500ms, 30s, 20m, 2h or 3d")
    number, unit = int(written[1]), written[2]
    if number == 0:
        raise ValueError("must be longer than nothing")
    if number > LONGEST // UNITS[unit]:
        raise ValueError(f"must not be longer than {LONGEST.days}d")
    return number * UNITS[unit]


def text(duration: timedelta) -> str:
    """The shortest exact way to write `duration`, which `parse` reads back. Roles of a millisecond are dropped."""
    unit = next((unit for unit, length in UNITS.items() if not duration % length), "ms")
    return f"{duration // UNITS[unit]}{unit}"
