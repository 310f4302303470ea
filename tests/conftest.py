"""Settings for all tests."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test asserts times: the machine may be slow, and busy with the other tests.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell makes its background processes ignore Ctrl-C, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_HERE = Path(__file__).parent
#: Files that start a whole local cloud for a few tests, each of which takes minutes.
LONGEST = (_HERE / "e2e", _HERE / "chaos" / "test_chaos.py", _HERE / "examples" / "test_pipeline_story.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let parallel workers begin with the longest files, so that no worker ends with one while the others idle."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not any(item.path.is_relative_to(each) for each in LONGEST))
