"""Which tests belong to which file: the quick ones first, since the first failure ends the run."""

from pathlib import Path

_CORE = Path("tests/core")
#: Each walks through thousands of states.
_WALKS = (
    "tests/core/test_every_interleaving.py",
    "tests/core/test_every_interleaving_of_superseding.py",
    "tests/core/test_random_histories.py",
)
#: Tests of messages and documents, between the core and the world.
_EDGES = (
    "tests/shared/test_messages.py",
    "tests/shared/test_incoming.py",
    "tests/shared/test_notifications.py",
    "tests/shared/test_runs_for_drift.py",
    "tests/shared/test_telling.py",
    "tests/upgrade/test_older_versions.py",
)
_STEPS = ("tests/steps", "tests/shared/test_catching_up.py", "tests/shared/test_deliveries.py")
#: What people are shown, and what the queues are called.
_SHOWN = ("tests/functions/test_looking.py", "tests/functions/test_steering.py", "tests/functions/test_approving.py")


def tests_of(file: Path) -> tuple[str, ...]:
    if file.is_relative_to("shared/worker"):
        return _STEPS
    return (*_rules(), *_EDGES, *_SHOWN, "tests/steps", *_WALKS)


def _rules() -> list[str]:
    """The tests of the rules but the walks, those of the lane first: most faults fail there."""
    names = [str(test) for test in sorted(_CORE.glob("test_*.py")) if "test_every_interleaving" not in test.name]
    return sorted(set(names) - set(_WALKS), key=lambda name: (name != "tests/core/test_lane.py", name))
