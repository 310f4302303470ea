"""The app's checks of stages with a batch endpoint."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.config.roles import Roles
from shared.http.health import Health
from shared.ports import Capability, EndpointKind
from tests.config.right import changed
from tests.fakes.workspace import FakeWorkspace
from tests.shared.health.conftest import NAMES, faults, line

ON_BATCH = changed(
    ('endpoint: "{model}-test"', 'batch_endpoint: "{model}-scoring"'),
    ("smoke: {requests: smoke/churn.jsonl, max_latency: 500ms}", "test: {input: sample:1}"),
    ("deployment: deployments/churn.yml", "deployment: deployments/batch.yml"),
)


@pytest.fixture
def workspaces() -> dict[str, FakeWorkspace]:
    made = {name: FakeWorkspace(name=name) for name in NAMES}
    made["test"].has_data("sample", "1")
    return made


@pytest.fixture
def health(health: Health, folder: Path, workspaces: dict[str, FakeWorkspace]) -> Health:
    (folder / "promotion.yml").write_text(ON_BATCH, encoding="utf-8")
    (folder / "deployments" / "batch.yml").write_text("compute: azureml:cpu\n")
    return replace(health, workspace=workspaces.__getitem__)


def test_all_is_well_where_cluster_and_input_are_there(health: Health) -> None:
    assert faults(health) == []
    found = line(health, "batch endpoint", "churn.test")
    assert found["says"] == (
        "cluster cpu is there, with nodes of size STANDARD_DS3_V2; its endpoints are made where they are missing"
    )


def test_a_cluster_and_an_input_that_are_missing_are_named(
    health: Health, workspaces: dict[str, FakeWorkspace]
) -> None:
    workspaces["test"].data.clear()
    assert faults(health) == [
        ("batch endpoint", "churn.test", "the workspace has no data asset sample:1, for its test")
    ]
    workspaces["test"].computes = set()
    [(_, _, says)] = faults(health)
    assert says == "the workspace has no cluster cpu, which deployments/batch.yml names"


def test_an_endpoint_with_a_fixed_name_is_looked_for(
    health: Health, folder: Path, workspaces: dict[str, FakeWorkspace]
) -> None:
    fixed = ON_BATCH.replace('"{model}-scoring"', "churn").replace('["churn-*"]', '["churn-eu"]')
    (folder / "promotion.yml").write_text(fixed, encoding="utf-8")
    assert line(health, "batch endpoint", "churn.test")["says"].endswith("endpoint churn will be made")
    workspaces["test"].with_endpoints(EndpointKind.BATCH).has_endpoint("churn", {})
    assert line(health, "batch endpoint", "churn.test")["says"].endswith("endpoint churn is in state Succeeded")


def test_rights_are_those_that_batch_endpoints_need(health: Health, workspaces: dict[str, FakeWorkspace]) -> None:
    assert line(health, "rights", "test")["says"] == "may deploy to batch endpoints and invoke batch endpoints"
    workspaces["test"].rights_missing[Capability.INVOKE] = ["batchEndpoints/jobs/write"]
    found = line(health, "rights", "test")
    assert (found["says"], found["todo"]) == (
        "its identity may not invoke batch endpoints (batchEndpoints/jobs/write)",
        "Give it AzureML Data Scientist on the workspace.",
    )


def test_a_deployment_file_that_is_no_batch_deployment_is_a_fault_of_the_files(health: Health, folder: Path) -> None:
    (folder / "deployments" / "batch.yml").write_text("instance_type: Standard_DS3_v2\ninstance_count: 1\n")
    assert [what for what, _, _ in faults(health)] == ["configuration", "batch endpoint"]


def test_what_another_app_works_in_is_not_looked_at(health: Health) -> None:
    elsewhere = replace(health, roles=Roles(True, ("dev", "prod")))
    assert "batch endpoint" not in [each["what"] for each in elsewhere.report(None)["checks"]]
