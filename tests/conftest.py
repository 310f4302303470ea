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
#: The files that take longest, and the folder of most others that start a whole local cloud. The longest comes first.
LONGEST = tuple(
    _HERE / each
    for each in (
        "examples/test_pipeline_story.py",
        "examples/test_model_story.py",
        "e2e/test_first_model.py",
        "e2e/test_apart.py",
        "e2e/test_rollout.py",
        "e2e/test_kill_as_traffic_moves.py",
        "e2e/test_kill_in_rollouts.py",
        "e2e/test_kill_the_app.py",
        "functions/test_openapi.py",
        "e2e/test_two_teams.py",
        "examples/test_command.py",
        "chaos/test_chaos.py",
        "e2e",
        "cloud",
        "core",
    )
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let parallel workers begin with the longest files, so that no worker ends with one while the others idle."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path))


def _place(file: Path) -> int:
    """The lower, the earlier."""
    return next((place for place, each in enumerate(LONGEST) if file.is_relative_to(each)), len(LONGEST))
