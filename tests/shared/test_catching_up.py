"""Registrations whose notification never came are found by the worker of their workspace, and by nobody else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.core.message_bodies import decode, encode
from shared.core.messages import RECONCILE, FindRegistrations, ModelRegistered
from shared.core.replacing import replace
from shared.core.wire import UndecodableError
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import CONFIGURATION, MODEL, REGISTERED, VERSION, Running, started

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def unannounced(tmp_path: Path) -> Running:
    """An app with a model in dev that it was not told of."""
    running = started(tmp_path)
    running.app.workspaces["dev"].has_model(MODEL, VERSION)
    return running


def test_a_worker_reports_what_it_finds_through_its_own_queue_and_starts_a_promotion(unannounced: Running) -> None:
    unannounced.bus.send_commands([FindRegistrations("dev", LONG_AGO, LONG_AGO)])
    (_, search) = unannounced.bus.messages.pop()
    unannounced.app.worker.receive("dev", search)
    ((queue, found),) = unannounced.bus.messages
    assert queue == "reports-dev"
    for _ in range(2):  # it is found again a quarter of an hour later
        unannounced.app.coordinator.take_report("dev", found)
        assert (unannounced.promotion["model"], unannounced.promotion["version"]) == (MODEL, VERSION)


MANY = {f"tag-{number}": "x" * 300 for number in range(1200)}
ASKED = CONFIGURATION.replace('models: ["churn-*"]', 'models: ["churn-*"]\n    require_tags: {promote: "true"}')


@pytest.fixture
def asking(tmp_path: Path) -> Running:
    """An app whose route asks for a tag."""
    running = started(tmp_path)
    (tmp_path / "promotion.yml").write_text(ASKED, encoding="utf-8")
    return running


def test_only_the_tags_that_routes_ask_for_are_reported_of_what_was_found(asking: Running) -> None:
    for number in range(45):
        asking.app.workspaces["dev"].has_model(f"churn-{number}", "1", tags={**MANY, "promote": "true"})
    asking.app.coordinator.catch_up()
    (_, body) = asking.bus.messages.pop()
    search = decode(body)
    assert isinstance(search, FindRegistrations)
    asking.app.worker.receive("dev", encode(replace(search, since=LONG_AGO)))  # before the models were made
    assert len(asking.bus.messages) == 45
    assert sum(len(body) for _, body in asking.bus.messages) < 45 * 500
    asking.app.coordinator.take_report("dev", asking.bus.messages[0][1])
    assert asking.promotion["status"] == "running"


@pytest.mark.parametrize(("promote", "status"), [("true", "running"), ("true" + "x" * 500_000, "ignored")])
def test_of_a_notification_with_50000_tags_those_travel_that_routes_ask_for(
    promote: str, status: str, asking: Running
) -> None:
    tags = {f"tag-{number}": "x" for number in range(50_000)} | {"promote": promote}
    data = {"modelName": MODEL, "modelVersion": VERSION, "modelTags": tags}
    asking.app.coordinator.intake(WORKSPACE.format("dev"), REGISTERED, data)
    [(_, body)] = asking.bus.messages
    assert len(body) < 10_000
    asking.app.coordinator.advance(body)
    assert asking.promotion["status"] == status


def test_a_worker_that_is_not_told_what_is_asked_for_reports_all_tags(asking: Running) -> None:
    asking.app.workspaces["dev"].has_model(MODEL, VERSION, tags={"promote": "true", "other": "1"})
    asking.app.worker.receive("dev", encode(FindRegistrations("dev", LONG_AGO, LONG_AGO)))
    [(_, body)] = asking.bus.messages
    assert b'"other":"1"' in body


def test_what_a_worker_says_to_have_found_in_another_workspace_starts_nothing(unannounced: Running) -> None:
    forged = encode(ModelRegistered(WORKSPACE.format("dev"), MODEL, VERSION, {}, RECONCILE))
    with pytest.raises(UndecodableError, match=r"the worker of test reported a model in .*, which is not its"):
        unannounced.app.coordinator.take_report("test", forged)
    assert unannounced.app.requests.promotions("", {})["value"] == []
    assert unannounced.bus.messages == []


FROM_REGISTRY = CONFIGURATION.replace("from: dev", "from: registry")


@pytest.fixture
def of_registry(tmp_path: Path) -> Running:
    """An app whose route takes models from the registry, where somebody has registered one."""
    assert FROM_REGISTRY != CONFIGURATION
    running = started(tmp_path)
    (tmp_path / "promotion.yml").write_text(FROM_REGISTRY, encoding="utf-8")
    first = running.app.workspaces["test"]
    first.has_copy(MODEL, VERSION, None, created=LONG_AGO.replace(year=2030))
    first.has_copy(MODEL, "77", "azureml://locations/west/…", created=LONG_AGO.replace(year=2030))
    first.has_copy("unwanted", VERSION, None, created=LONG_AGO.replace(year=2030))
    return running


def searched(running: Running) -> tuple[str, bytes]:
    """What the worker of the first stage reported of the registry."""
    running.app.coordinator.catch_up()
    ((queue, search),) = running.bus.messages
    assert queue == "steps-test"
    running.bus.messages.clear()
    running.app.worker.receive("test", search)
    (report,) = running.bus.messages
    return report


def test_a_model_that_was_registered_in_the_registry_is_found_by_the_worker_of_the_first_stage(
    of_registry: Running,
) -> None:
    queue, found = searched(of_registry)
    assert queue == "reports-test"
    for _ in range(2):
        of_registry.app.coordinator.take_report("test", found)
        assert (of_registry.promotion["model"], of_registry.promotion["version"]) == (MODEL, VERSION)
    of_registry.bus.messages = of_registry.bus.messages[:1]
    of_registry.run()
    promotion = of_registry.app.requests.promotion(of_registry.promotion["id"])
    origin = (promotion["candidate"]["environment"], promotion["candidate"]["workspace"])
    assert origin == ("registry", "azureml://registries/contoso-ml")
    share = promotion["stages"][0]["steps"][0]
    assert (share["name"], share["environment"], share["status"]) == ("share", "test", "succeeded")


def test_no_other_workers_word_on_the_registry_counts(of_registry: Running) -> None:
    _, found = searched(of_registry)
    with pytest.raises(UndecodableError, match="which is not its workspace"):
        of_registry.app.coordinator.take_report("dev", found)
