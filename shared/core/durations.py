"""Writes durations for people."""

from datetime import timedelta

#: Up to here durations are given in hours, as in `72 h`; longer ones in days if they are whole days.
_MOST_IN_HOURS = timedelta(hours=72)
_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
    (timedelta(milliseconds=1), "ms"),
)


def in_words(length: timedelta) -> str:
    """The exact duration in the largest unit that divides it: `20 s`, `90 min`, `72 h`. Drops fractions of a
    millisecond."""
    units = _UNITS if length > _MOST_IN_HOURS else _UNITS[1:]
    unit, name = next(((unit, name) for unit, name in units if not length % unit), units[-1])
    return f"{length // unit} {name}"
