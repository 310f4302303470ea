"""What an environment's policy asks of evaluations, and the approvals that it takes of them itself."""

from typing import Any

import pytest
import yaml

from shared.config.policy import Policy
from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.core.replacing import replace
from shared.core.wire import from_json
from shared.ports import ApprovalDecision
from shared.worker.evaluation import Evaluated, is_same_model
from shared.worker.order import Rules
from tests.fakes.approvals import FakeApprovals
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.evaluate.world import CHAMPION, NAME, asking, squat, with_policy
from tests.steps.promotion import NOW, SHARED, Stage, failed

#: The environment's own gates.
STRICT = [{"metric": "auc", "at_least": 0.85}, {"metric": "loss", "at_most": 1}]


def test_what_was_evaluated_is_deployed(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    assert isinstance(stage.run("deploy", workspace), Succeeded)


def test_a_route_without_an_evaluation_is_refused_where_the_policy_asks_for_one(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    policy = Policy.model_validate({"evaluation": {"job": "sha256:" + "0" * 64}})
    settings = {name: value for name, value in stage.settings.items() if name != "evaluate"}
    without = stage.with_(rules=Rules(policy), settings=settings, evidence={"share": SHARED})
    failed(without.poll("validate", workspace), FailureKind.REFUSED, "the stage has no evaluation")
    # What a forged command says was validated does not count: it is read again.
    forged = without.with_(evidence=stage.evidence)
    assert isinstance(forged.poll("deploy", workspace), Failed)
    assert workspace.made == {}


def test_another_job_than_the_policys_is_refused_and_its_digest_is_reported(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    digest = stage.evidence["validate"]["manifest"]["evaluation"]
    (stage.folder / "src" / "evaluate.py").write_text("print('is kinder')\n")
    changed = with_policy(stage, workspace, digest)
    outcome = failed(changed.poll("validate", workspace), FailureKind.REFUSED, "policy: evaluation", digest)
    assert outcome.reason.count("sha256:") == 2


@pytest.mark.parametrize(
    ("policy", "job", "says"),
    [
        ({"computes": ["gpu"]}, {}, "evaluation, compute: required gpu, found cpu"),
        ({"computes": ["CPU"]}, {}, ""),
        ({"computes": ["cpu"]}, {"compute": None}, "evaluation, compute: required cpu, found serverless"),
        ({"instance_types": ["Standard_DS3_v2"]}, {}, ""),  # the compute's owner chose its machines
        (
            {"instance_types": ["Standard_DS3_v2"]},
            {"compute": None, "resources": {"instance_type": "Standard_NC24"}},
            "evaluation, instance type: required Standard_DS3_v2, found Standard_NC24",
        ),
        ({"instance_types": ["Standard_DS3_v2"]}, {"compute": None}, "instance type: required Standard_DS3_v2, found"),
        ({"max_instances": 2}, {"resources": {"instance_count": 2}}, ""),
        (
            {"max_instances": 2},
            {"resources": {"instance_count": 3}},
            "evaluation, instances: required at most 2, found 3",
        ),
    ],
)
def test_the_job_runs_only_on_machines_that_the_policy_allows(
    policy: dict[str, Any], job: dict[str, Any], says: str, stage: Stage, workspace: FakeWorkspace
) -> None:
    file = stage.folder / stage.settings["evaluate"]["job"]
    content = yaml.safe_load(file.read_text()) | job
    file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    deployment = stage.folder / stage.settings["deployment"]
    described = yaml.safe_load(deployment.read_text()) | {"instance_type": "Standard_DS3_v2", "instance_count": 1}
    deployment.write_text(yaml.safe_dump(described))
    asking = stage.with_(rules=Rules(Policy.model_validate(policy)), evidence={"share": SHARED})
    outcome = asking.poll("validate", workspace)
    if says:
        failed(outcome, FailureKind.REFUSED, says)
        # Nor does it start, whatever a forged command says was validated.
        assert isinstance(stage.with_(rules=asking.rules).poll("evaluate", workspace), Failed)
        assert workspace.submitted == {}
    else:
        assert isinstance(outcome, Succeeded), outcome


def test_other_data_than_the_policys_is_refused(stage: Stage, workspace: FakeWorkspace) -> None:
    changed = with_policy(stage, workspace, inputs={"data": "the-real-one"})
    failed(changed.poll("validate", workspace), FailureKind.REFUSED, "input data: required the-real-one, found holdout")


def test_nothing_is_deployed_that_was_not_evaluated_whatever_the_evidence_says(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    stage = with_policy(stage, workspace)
    forged = stage.with_(evidence={**stage.evidence, "evaluate": {"job": NAME, "gates": []}})
    failed(forged.poll("deploy", workspace), FailureKind.PERMISSION, "does not exist")
    squat(workspace, stage)
    failed(forged.poll("deploy", workspace), FailureKind.CONFLICT, "not submitted by the identity of test")
    assert workspace.made == {}


@pytest.mark.parametrize("status", ["Running", "Failed", "Canceled"])
def test_nothing_is_deployed_while_the_job_has_not_completed(
    stage: Stage, workspace: FakeWorkspace, status: str
) -> None:
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    workspace.submitted[NAME] = replace(workspace.submitted[NAME], status=status)
    workspace.polls_until_ended = None
    failed(stage.poll("deploy", workspace), FailureKind.PERMISSION, "Nothing was deployed")


def test_nothing_is_deployed_that_the_job_found_wanting(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"auc": 0.5})
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    failed(stage.poll("deploy", workspace), FailureKind.REFUSED, "found 0.5")
    assert workspace.made == {}


@pytest.mark.parametrize(
    ("given", "asset", "words"),
    [
        ("model", "azureml://registries/reg/models/x/versions/1", "its input model"),
        ("champion", "azureml://registries/reg/models/digits/versions/1", "its input champion"),
        ("data", "/subscriptions/s/workspaces/ws-test/data/easy/versions/7", "its input data"),
        ("data", "/subscriptions/s/workspaces/ws-test/data/holdout/versions/6", "its input data"),
        ("code", "another", "its code"),
    ],
)
def test_a_job_that_got_or_ran_something_else_does_not_count(
    stage: Stage, workspace: FakeWorkspace, given: str, asset: str, words: str
) -> None:
    """Somebody has put other content in the place of our job, with our name, identity and tags."""
    for version in ("6", "7"):
        workspace.has_data("holdout", version)
    stage = with_policy(asking(stage, workspace, inputs={"data": "holdout:7"}), workspace)
    stage.run("evaluate", workspace)
    job = workspace.submitted[NAME]
    if given == "code":
        workspace.contents[NAME] = asset
    else:
        workspace.submitted[NAME] = replace(job, inputs={**job.inputs, given: asset})
    failed(stage.poll("deploy", workspace), FailureKind.CONFLICT, words)
    assert workspace.made == {}


def test_a_champion_that_was_never_evaluated_is_not_brought_back(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace)
    back = stage.with_(
        champion=replace(CHAMPION, candidate=replace(CHAMPION.candidate, version="3"), evidence=stage.evidence)
    )
    failed(back.poll("reinstate", workspace), FailureKind.PERMISSION, "it was never evaluated here")


def evaluated_before(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """The stage, about to go back to a champion that was evaluated here."""
    outcome = stage.run("evaluate", workspace)
    assert isinstance(outcome, Succeeded)
    evidence = {**stage.evidence, "evaluate": outcome.evidence}
    passed = replace(
        CHAMPION, candidate=replace(CHAMPION.candidate, version="3"), promotion=stage.promotion, evidence=evidence
    )
    return stage.with_(champion=passed)


def test_a_champion_that_passed_the_environments_gates_is_brought_back(stage: Stage, workspace: FakeWorkspace) -> None:
    back = evaluated_before(with_policy(stage, workspace, gates=STRICT), workspace)
    assert isinstance(back.run("reinstate", workspace), Succeeded)


def test_a_champion_that_the_environments_gates_refuse_by_now_is_not_brought_back(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    back = evaluated_before(with_policy(stage, workspace, gates=STRICT), workspace)
    workspace.job_metrics[NAME]["auc"] = 0.84
    refused = failed(back.poll("reinstate", workspace), FailureKind.PERMISSION, "metric auc: 0.84")
    assert "metric loss" not in refused.reason, "that one holds"
    assert workspace.made == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "Failed"}, f"job {NAME} is Failed"),
        ({"inputs": {"model": "azureml://registries/reg/models/x/versions/1"}}, f"job {NAME} evaluated azureml://"),
        ({"inputs": {}}, f"job {NAME} evaluated nothing"),
    ],
)
def test_good_figures_of_a_job_that_does_not_count_bring_no_champion_back(
    stage: Stage, workspace: FakeWorkspace, changes: dict[str, Any], words: str
) -> None:
    back = evaluated_before(with_policy(stage, workspace, gates=STRICT), workspace)
    workspace.submitted[NAME] = replace(workspace.submitted[NAME], **changes)
    failed(back.poll("reinstate", workspace), FailureKind.PERMISSION, words)
    assert workspace.made == {}


def test_a_job_of_somebody_else_brings_no_champion_back(stage: Stage, workspace: FakeWorkspace) -> None:
    back = evaluated_before(with_policy(stage, workspace, gates=STRICT), workspace)
    workspace.creators[NAME] = "somebody"
    failed(back.poll("reinstate", workspace), FailureKind.PERMISSION, "was not submitted by the identity of test")


@pytest.mark.parametrize(
    ("given", "is_same"),
    [
        ("azureml://registries/reg/models/digits/versions/3", True),
        ("azureml://registries/reg/models/digits/versions/2", False),
        ("azureml://registries/other/models/digits/versions/3", False),
        ("/subscriptions/s/resourceGroups/g/providers/x/workspaces/ws-test/models/digits/versions/3", False),
        ("", False),
    ],
)
def test_the_model_of_a_job_is_told_by_its_id(given: str, is_same: bool) -> None:
    assert is_same_model(given, "azureml://registries/reg/models/digits/versions/3") is is_same


def test_a_workspaces_own_model_is_the_same_by_both_of_its_ids() -> None:
    workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws-prod"
    own = "azureml://locations/west/workspaces/8f3c/models/digits/versions/3"
    assert is_same_model(f"{workspace}/models/digits/versions/3", own)
    assert not is_same_model(f"{workspace}/models/digits/versions/4", own)


# --- approvals that the environment takes itself ----------------------------------------------------------------------


def asking_here(stage: Stage, workspace: FakeWorkspace, approvals: FakeApprovals) -> Stage:
    """The stage in an environment that takes its own approvals, evaluated."""
    policy = Policy.model_validate({"approvals": {"min": 1, "taken_by": "environment"}})
    here = stage.with_(rules=Rules(policy, approvals), evidence={"share": SHARED})
    here = here.with_settings(approval={"min": 1}).validated(workspace)
    outcome = here.run("evaluate", workspace)
    assert isinstance(outcome, Succeeded)
    return here.with_(evidence={**here.evidence, "evaluate": outcome.evidence})


def test_what_was_measured_is_shown_and_is_part_of_what_people_approve(stage: Stage, workspace: FakeWorkspace) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    assert isinstance(stage.poll("approve", workspace), Running)
    asked = approvals.request(stage.promotion, "test")
    assert asked is not None
    assert from_json(Evaluated, asked.shown["evaluation"]).metrics[0].candidate == 0.9
    assert asked.digest == stage.evidence["evaluate"]["approves"] != stage.evidence["validate"]["manifest"]["digest"]
    approvals.decide(
        stage.promotion, "test", asked.digest, ApprovalDecision("id-anna", "anna", True, "good figures", NOW)
    )
    assert isinstance(stage.run("approve", workspace), Succeeded)
    assert isinstance(stage.run("deploy", workspace), Succeeded)


def test_figures_that_change_after_people_have_approved_are_not_approved(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    stage.poll("approve", workspace)
    asked = approvals.request(stage.promotion, "test")
    assert asked is not None
    approvals.decide(stage.promotion, "test", asked.digest, ApprovalDecision("id-anna", "anna", True, "good", NOW))
    workspace.job_metrics[NAME]["auc"] = 0.95
    failed(stage.poll("deploy", workspace), FailureKind.PERMISSION, "approvals of exactly this")
    assert workspace.made == {}


def test_what_a_command_says_was_measured_is_not_shown_to_people(stage: Stage, workspace: FakeWorkspace) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    del workspace.submitted[NAME]
    failed(stage.poll("approve", workspace), FailureKind.PERMISSION, "does not exist")
    assert approvals.request(stage.promotion, "test") is None
