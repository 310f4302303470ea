"""Registrations whose notification never came are found by the worker of their workspace, and by nobody else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.core.messages import RECONCILE, FindRegistrations, ModelRegistered, encode
from shared.core.wire import UndecodableError
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import MODEL, VERSION, Running, started

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def unannounced(tmp_path: Path) -> Running:
    """An app with a model in dev that it was not told of."""
    running = started(tmp_path)
    running.app.workspaces["dev"].has_model(MODEL, VERSION)
    return running


def test_a_worker_reports_what_it_finds_through_its_own_queue_and_a_promotion_comes_of_it(unannounced: Running) -> None:
    unannounced.bus.send_commands([FindRegistrations("dev", LONG_AGO, LONG_AGO)])
    (_, search) = unannounced.bus.messages.pop()
    unannounced.app.work("dev", search)
    ((queue, found),) = unannounced.bus.messages
    assert queue == "reports-dev"
    for _ in range(2):  # it is found again a quarter of an hour later
        unannounced.app.take_report("dev", found)
        assert (unannounced.promotion["model"], unannounced.promotion["version"]) == (MODEL, VERSION)


def test_what_a_worker_says_to_have_found_in_another_workspace_starts_nothing(unannounced: Running) -> None:
    forged = encode(ModelRegistered(WORKSPACE.format("dev"), MODEL, VERSION, {}, RECONCILE))
    with pytest.raises(UndecodableError, match=r"the worker of test speaks of a model in .*, which is not its"):
        unannounced.app.take_report("test", forged)
    assert unannounced.app.requests.promotions("", {})["value"] == []
    assert unannounced.bus.messages == []
