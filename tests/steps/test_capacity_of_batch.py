"""What a job of a batch deployment takes, as people see it before they approve."""

from pathlib import Path

import pytest

from shared.core.messages import Succeeded
from shared.ports import Cluster, ForbiddenError, Quota
from shared.worker.order import Rules
from tests.fakes.workspace import FakeWorkspace
from tests.steps.batch import batch_stage, batch_view
from tests.steps.promotion import Stage

FAMILY = "Standard DSv2 Family Cluster Dedicated vCPUs"


@pytest.fixture
def stage(tmp_path: Path, workspace: FakeWorkspace) -> Stage:
    """With a deployment that asks for two nodes of four cores each."""
    batch_view(workspace).its_cluster = Cluster("Standard_DS3_v2", most_nodes=4)
    workspace.limits = [Quota(FAMILY, 100, 60)]
    rules = Rules(prices={"Standard_DS3_v2": 0.25}, currency="EUR")
    return batch_stage(tmp_path).with_(rules=rules)


def checked(stage: Stage, workspace: FakeWorkspace) -> Succeeded:
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded), outcome
    return outcome


def test_a_job_takes_nodes_of_the_cluster_and_none_for_upgrades(stage: Stage, workspace: FakeWorkspace) -> None:
    outcome = checked(stage, workspace)
    assert outcome.evidence == {
        "size": "Standard_DS3_v2",
        "instances": 2,
        "cores": 8,
        "beside": [],
        "quota": FAMILY,
        "left": 40,
        "removed_first": [],
        "unknown": "",
        "cost": 0.5,
        "currency": "EUR",
        "cluster": "cpu",
        "most_nodes": 4,
    }
    assert outcome.says == (
        "takes nothing while no job runs; a job takes 2 × Standard_DS3_v2 of cpu, which has at most 4; 8 cores of the "
        "quota, 40 are left; 0.50 EUR an hour while it runs"
    )
    assert not [call for call in workspace.calls if call.startswith("start_")]


def test_a_job_takes_no_more_nodes_than_the_cluster_has(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.its_cluster = Cluster("Standard_DS3_v2", most_nodes=1)
    seen = checked(stage, workspace).evidence
    assert (seen["instances"], seen["cores"], seen["cost"]) == (1, 4, 0.25)


def test_too_little_quota_is_told_and_not_refused_since_jobs_wait(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.limits = [Quota(FAMILY, 100, 96)]
    outcome = checked(stage, workspace)
    assert outcome.evidence["left"] == 4
    assert "8 cores of the quota, 4 are left; jobs may have to wait for nodes" in outcome.says


def test_without_the_right_to_read_it_the_quota_is_unknown(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.raises["quotas"] = ForbiddenError("no right to read it")
    outcome = checked(stage, workspace)
    assert outcome.evidence["unknown"] == "no right to read it"
    assert "the quota that is left is unknown" in outcome.says
    assert outcome.evidence["cost"] == 0.5, "prices are the configuration's"


def test_of_nodes_with_low_priority_quota_and_price_are_unknown(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.its_cluster = Cluster("Standard_DS3_v2", most_nodes=4, is_low_priority=True)
    seen = checked(stage, workspace).evidence
    assert "Low-priority nodes have a quota and prices of their own" in seen["unknown"]
    assert not {"cores", "left", "cost"} & seen.keys()


def test_a_cluster_that_is_not_there_is_unknown(stage: Stage, workspace: FakeWorkspace) -> None:
    (stage.folder / "batch.yml").write_text("compute: azureml:nobody\nresources: {instance_count: 2}\n")
    outcome = checked(stage, workspace)
    assert outcome.evidence["unknown"] == "The workspace has no cluster nobody."
    assert outcome.says == "what it takes is unknown: The workspace has no cluster nobody."
