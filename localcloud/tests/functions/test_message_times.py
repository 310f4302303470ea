"""Times of messages are read as Microsoft's library reads them, only faster."""

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.functions.message_times import library_parses_datetime, parsed_datetime

INDEXED = """
import asyncio, pathlib, sys
from localcloud.functions.runtime import load_app
print("azure.functions" in sys.modules)
asyncio.run(load_app(pathlib.Path(sys.argv[1])))
from azure.functions.meta import _BaseConverter
print(_BaseConverter._parse_datetime.__name__)
"""

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
    assert parsed_datetime(text) == library_parses_datetime(text)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_the_library_refuses_is_no_time(text: str) -> None:
    for parses in (parsed_datetime, library_parses_datetime):
        with pytest.raises(ValueError, match=r"does not match|unconverted"):
            parses(text)


def test_an_app_once_indexed_has_its_times_read_so(tmp_path: Path) -> None:
    """Not before: azure.functions is imported by indexing, which the benchmark of it measures."""
    (tmp_path / "function_app.py").write_text("import azure.functions as func\n\napp = func.FunctionApp()\n")
    command = [sys.executable, "-c", INDEXED, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "parsed_datetime"]
