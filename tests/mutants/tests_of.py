"""Which tests belong to which file: the quick ones first, since the first failure ends the run."""

from pathlib import Path

_RULES = (
    "tests/core/test_lane.py",
    "tests/core/test_superseding.py",
    "tests/core/test_steering.py",
    "tests/core/test_trying_again.py",
    "tests/core/test_ways_back.py",
    "tests/core/test_approving.py",
    "tests/core/test_waiting.py",
    "tests/core/test_awaiting.py",
    "tests/core/test_rerunning.py",
    "tests/core/test_events.py",
    "tests/core/test_views.py",
    "tests/core/test_pace.py",
    "tests/core/test_asset_names.py",
    "tests/core/test_late.py",
    "tests/core/test_redaction.py",
    "tests/core/test_texts.py",
    "tests/core/test_ids.py",
    "tests/core/test_queues.py",
    "tests/core/test_whose_report_counts.py",
    "tests/core/test_durations.py",
    "tests/core/test_state_diagram.py",
)
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
    "tests/shared/test_telling.py",
    "tests/upgrade/test_older_versions.py",
)
_STEPS = ("tests/steps", "tests/shared/test_catching_up.py", "tests/shared/test_deliveries.py")
#: What people are shown, and what the queues are called.
_SHOWN = ("tests/functions/test_looking.py", "tests/functions/test_steering.py", "tests/functions/test_approving.py")


def tests_of(file: Path) -> tuple[str, ...]:
    if file.is_relative_to("shared/worker"):
        return _STEPS
    return (*_RULES, *_EDGES, *_SHOWN, "tests/steps", *_WALKS)
