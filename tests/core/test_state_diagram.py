"""The state diagram in the docs is that of the code."""

import subprocess
import sys
from pathlib import Path

from docs.make_state_diagram import TARGET, document
from shared.core.promotion import STAGE_ENDED, StageStatus
from shared.core.transitions import TRANSITIONS

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_state_diagram_in_the_docs_is_not_stale() -> None:
    checked = subprocess.run(
        [sys.executable, "docs/make_state_diagram.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_the_docs_say_the_time_limits_and_undo_steps_of_every_plan() -> None:
    """In this process, because `make mutants` injects its faults only here."""
    assert TARGET.read_text(encoding="utf-8") == document()


def test_every_status_can_be_reached_and_all_but_ends_can_be_left() -> None:
    reached = {StageStatus.WAITING, *TRANSITIONS.values()}
    left = {before for before, _ in TRANSITIONS}
    assert reached == set(StageStatus)
    assert left >= set(StageStatus) - STAGE_ENDED


def test_an_end_is_left_only_when_a_person_asks() -> None:
    triggers = {trigger for (before, trigger) in TRANSITIONS if before in STAGE_ENDED}
    assert triggers == {"a person rolled it back", "a person retried it"}
