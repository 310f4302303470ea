"""Makes the azure-functions library parse message times in one attempt. Without that it tries a dozen formats, which is
half the cost of reading a message.
"""

from datetime import datetime, timedelta

from azure.functions.meta import _BaseConverter

library_parses_datetime = _BaseConverter._parse_datetime


def read_quickly() -> None:
    """Takes effect in this process from now on. The results are the same as the library's."""
    _BaseConverter._parse_datetime = staticmethod(parsed_datetime)  # type: ignore[assignment,method-assign]


def parsed_datetime(text: str | None) -> datetime | None:
    """As the library reads a time; ValueError for what it refuses."""
    try:
        moment = datetime.fromisoformat(text) if text and text[10:11] + text[16:17] == "T:" else None
    except ValueError:
        moment = None
    if moment is not None and moment.utcoffset() in (None, timedelta(0)):
        return moment
    return library_parses_datetime(text)
