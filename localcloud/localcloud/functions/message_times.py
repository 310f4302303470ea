"""Has the azure-functions library read the times of messages in one attempt: it takes a dozen, half of the reading."""

from datetime import datetime, timedelta

from azure.functions.meta import _BaseConverter

library_parses_datetime = _BaseConverter._parse_datetime


def read_quickly() -> None:
    """From now on in this process; times come out as the library reads them."""
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
