"""The few places in which the host does what Microsoft's library does, only faster."""

import pytest
from azure.functions.meta import _BaseConverter

from localcloud.functions import runtime

TIMES = [
    "2018-08-07T23:17:57",
    "2018-08-07T23:17:57.46105",
    "2018-08-07T23:17:57.461050Z",
    "2018-08-07T23:17:57+00:00",
    "2018-08-07T23:17:57-00:00",
    "9999-12-31T23:59:59.9999999",
    "9999-12-31T23:59:59.9999999+00:00",
    "12/31/2018 10:11:12Z",
    "",
    None,
]
NO_TIMES = ["2018-08-07T23:17:57+02:00", "2018-08-07T23:17", "2018-08-07", "20180807T231757", "yesterday"]


@pytest.mark.parametrize("text", TIMES)
def test_time_is_read_as_the_library_reads_it(text: str | None) -> None:
    assert _BaseConverter._parse_datetime(text) == runtime._library_parses_datetime(text)
    assert _BaseConverter._parse_datetime is runtime._parsed_datetime


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_the_library_refuses_is_no_time(text: str) -> None:
    for parses in (_BaseConverter._parse_datetime, runtime._library_parses_datetime):
        with pytest.raises(ValueError, match=r"does not match|unconverted"):
            parses(text)
