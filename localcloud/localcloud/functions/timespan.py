"""Time spans as .NET writes them: `[d.]hh:mm:ss[.fraction]`."""

import re

_FORM = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(\.\d{1,7})?")


def parse_timespan(text: str) -> float:
    """The seconds of a time span; raises ValueError for any other form."""
    match = _FORM.fullmatch(text.strip())
    if match is None or int(match[2]) > 23 or int(match[3]) > 59 or int(match[4]) > 59:
        raise ValueError(f"{text!r} is not a time span of the form hh:mm:ss.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + float(match[5] or 0)
