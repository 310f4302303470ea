"""Lengths of time in words for people."""

from datetime import timedelta

#: Up to here hours are counted, as in `72 h`; what is longer is said in days where it is whole days.
_MOST_IN_HOURS = timedelta(hours=72)
_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
    (timedelta(milliseconds=1), "ms"),
)


def in_words(length: timedelta) -> str:
    """Exactly, in the largest unit that does it: `20 s`, `90 min`, `72 h`. Fractions of a millisecond are dropped."""
    units = _UNITS if length > _MOST_IN_HOURS else _UNITS[1:]
    unit, name = next(((unit, name) for unit, name in units if not length % unit), units[-1])
    return f"{length // unit} {name}"
