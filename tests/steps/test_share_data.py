"""Data assets that a route names are copied to the registry; others stay in their workspace."""

import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.ports import RegistryData
from shared.worker.order import Rules
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import Stage

ORIGIN = "azureml://locations/west/workspaces/ws-dev/data/churn-sample/versions/7"
COPY = "azureml://registries/reg/data/churn-sample/versions/7"


@pytest.fixture
def dev() -> FakeWorkspace:
    fake = FakeWorkspace(name="ws-dev", polls_until_ready=2)
    fake.has_data("churn-sample", "6")
    fake.has_data("churn-sample", "7")
    fake.has_data("churn-production", "1")
    return fake


@pytest.fixture
def sharing(stage: Stage) -> Stage:
    rules = Rules(shares_data=frozenset({"churn-sample"}))
    return stage.with_(options={"data": ["churn-sample@latest"]}, rules=rules, evidence={})


def refused(stage: Stage, dev: FakeWorkspace) -> Failed:
    """How it failed, having shared nothing."""
    outcome = stage.run("share_data", dev)
    assert isinstance(outcome, Failed), outcome
    assert dev.calls["start_data_share"] == 0
    return outcome


def test_the_latest_version_is_copied_and_the_evidence_says_which(sharing: Stage, dev: FakeWorkspace) -> None:
    outcome = sharing.run("share_data", dev)
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.evidence == {
        "data": [{"name": "churn-sample", "version": "7", "origin": ORIGIN, "asset": COPY}],
    }
    assert list(dev.registry.data) == [("churn-sample", "7")]


def test_a_version_that_is_named_is_copied_though_it_is_not_the_latest(sharing: Stage, dev: FakeWorkspace) -> None:
    sharing.with_(options={"data": ["churn-sample:6"]}).run("share_data", dev)
    assert list(dev.registry.data) == [("churn-sample", "6")]


def test_it_never_waits_and_remembers_which_version_it_began_with(sharing: Stage, dev: FakeWorkspace) -> None:
    outcome = sharing.poll("share_data", dev)
    assert isinstance(outcome, Running)
    assert outcome.state == {"versions": {"churn-sample": "7"}}
    assert "churn-sample:7" in outcome.says


def test_a_version_that_appears_meanwhile_changes_nothing(sharing: Stage, dev: FakeWorkspace) -> None:
    first = sharing.poll("share_data", dev)
    assert isinstance(first, Running)
    dev.has_data("churn-sample", "8")
    later = sharing.with_(state=first.state).poll("share_data", dev, poll=2)
    assert isinstance(later, Running)
    assert later.state == first.state


def test_data_that_is_there_already_is_not_copied_again(sharing: Stage, dev: FakeWorkspace) -> None:
    dev.registry.data["churn-sample", "7"] = RegistryData(COPY, ORIGIN.upper())
    assert isinstance(sharing.run("share_data", dev), Succeeded)
    assert dev.calls["start_data_share"] == 0


@pytest.mark.parametrize("origin", [None, ORIGIN.replace("ws-dev", "ws-other")])
def test_data_of_another_origin_under_the_same_version_is_a_conflict(
    sharing: Stage, dev: FakeWorkspace, origin: str | None
) -> None:
    dev.registry.data["churn-sample", "7"] = RegistryData(COPY, origin)
    assert refused(sharing, dev).kind is FailureKind.CONFLICT


def test_data_that_the_workers_own_configuration_does_not_name_stays(sharing: Stage, dev: FakeWorkspace) -> None:
    forged = sharing.with_(options={"data": ["churn-sample@latest", "churn-production:1"]})
    outcome = refused(forged, dev)
    assert outcome.kind is FailureKind.PERMISSION
    assert "does not share data asset churn-production" in outcome.reason


def test_data_that_is_missing_or_archived_is_not_found(sharing: Stage, dev: FakeWorkspace) -> None:
    assert refused(sharing.with_(options={"data": ["churn-sample:9"]}), dev).kind is FailureKind.NOT_FOUND
    dev.has_data("churn-sample", "7", is_archived=True)
    assert "is archived" in refused(sharing, dev).reason


def test_it_goes_on_after_a_crash_behind_the_start_of_the_copy(sharing: Stage, dev: FakeWorkspace) -> None:
    dev.dies_after = "start_data_share"
    assert isinstance(sharing.run("share_data", dev), Succeeded)
