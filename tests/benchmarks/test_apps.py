"""The apps that are measured have the functions that the measurements rely on, so that no measurement stops at once."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks import function_log, indexing
from benchmarks.children import REPOSITORY
from benchmarks.cloud import APPS
from localcloud.up import read_description


def functions_of(app: Path, settings: Mapping[str, str] = MappingProxyType({})) -> set[str]:
    """The names of an app's functions, as the host finds them."""
    command = [sys.executable, "-m", "benchmarks.index_app", str(app)]
    environment = {**os.environ, **settings}
    output = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1])["functions"])


def test_what_is_measured_takes_the_events_that_the_local_cloud_delivers() -> None:
    delivered = read_description(REPOSITORY / "localcloud.yml").event_subscriptions
    assert delivered is not None
    for app, settings in ((REPOSITORY, indexing.SETTINGS), (APPS / "intake", {})):
        assert delivered.function in functions_of(app, settings), app


def test_every_function_whose_time_is_counted_is_there() -> None:
    assert set(function_log.OF_PROMOTIONS) <= functions_of(REPOSITORY, indexing.SETTINGS)
