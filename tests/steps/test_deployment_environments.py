"""An environment asset of the source's workspace that a deployment file names comes along with the model."""

from dataclasses import replace

import pytest

from shared.core.messages import Failed, FailureKind, Succeeded
from shared.ports import EnvironmentAsset
from shared.worker.order import Rules
from shared.worker.pipeline_content import environment_digest
from tests.fakes.workspace import FakeRegistry, FakeWorkspace
from tests.steps.batch import BATCH_ENDPOINT, batch_stage
from tests.steps.promotion import ENDPOINT, Stage, champion, deploy_saw, failed

COPY = "azureml://registries/reg/environments/churn-env/versions/3"
DEPLOYMENT = "environment: {}\ninstance_type: Standard_DS3_v2\ninstance_count: 1\n"


def asset(version: str, conda: str = "dependencies: [python=3.11]") -> EnvironmentAsset:
    own = f"/subscriptions/s/workspaces/ws-dev/environments/churn-env/versions/{version}"
    return EnvironmentAsset(own, "churn-env", version, "image", conda, origin=own)


@pytest.fixture
def dev(workspace: FakeWorkspace) -> FakeWorkspace:
    """The source's workspace, with the model and two versions of an environment asset."""
    fake = FakeWorkspace(workspace.registry, "ws-dev")
    fake.has_model("digits", "3", tags={"promote": "true"})
    fake.own.environments = {each.asset_id: each for each in (asset("2"), asset("3"))}
    return fake


def named(stage: Stage, reference: str) -> Stage:
    (stage.folder / "deployment.yml").write_text(DEPLOYMENT.format(reference))
    return stage.with_(options={"deployments": ["deployment.yml"]})


def shared(stage: Stage, dev: FakeWorkspace) -> Stage:
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded), outcome
    return stage.with_(evidence={"share": outcome.evidence})


@pytest.mark.parametrize("reference", ["azureml:churn-env:3", "azureml:churn-env@latest"])
def test_it_is_shared_to_the_registry_pinned_recorded_and_deployed_from_there(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace, reference: str
) -> None:
    dev.polls_until_ready = 2
    stage = shared(named(stage, reference), dev)
    digest = environment_digest(asset("3"))
    assert stage.evidence["share"]["environments"] == {reference: {"asset_id": COPY, "digest": digest}}
    validated = stage.validated(workspace)
    manifest = validated.evidence["validate"]["manifest"]
    assert (manifest["environment"], manifest["environment_digest"]) == (COPY, digest)
    assert isinstance(validated.run("deploy", workspace), Succeeded)
    assert workspace.made[ENDPOINT, stage.deployment].environment == COPY


@pytest.mark.parametrize("first_is_batch", [True, False])
def test_it_comes_along_for_batch_deployments_too_whatever_the_first_stage_deploys(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace, first_is_batch: bool
) -> None:
    online, batch = named(stage, "azureml:churn-env:2"), batch_stage(stage.folder, test=None)
    (stage.folder / "batch.yml").write_text("compute: azureml:cpu\nenvironment: azureml:churn-env:3\n")
    options = {"deployments": ["deployment.yml"], "batch_deployments": ["batch.yml"]}
    found = shared((batch if first_is_batch else online).with_(options=options), dev)
    assert set(found.evidence["share"]["environments"]) == {"azureml:churn-env:2", "azureml:churn-env:3"}
    validated = batch.with_(evidence=found.evidence).validated(workspace)
    assert isinstance(validated.run("deploy", workspace), Succeeded)
    assert workspace.batch_made[BATCH_ENDPOINT, batch.deployment].environment == COPY


def test_a_label_means_what_it_named_when_the_model_was_shared(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    stage = shared(named(stage, "azureml:churn-env@latest"), dev)
    newer = asset("4", "dependencies: [python=3.12]")
    dev.own.environments[newer.asset_id] = newer
    assert isinstance(stage.validated(workspace).run("deploy", workspace), Succeeded)
    assert workspace.made[ENDPOINT, stage.deployment].environment == COPY


@pytest.mark.parametrize("is_batch", [False, True])
def test_a_file_that_names_another_one_since_the_model_was_shared_waits_until_that_is_shared_too(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace, is_batch: bool
) -> None:
    """A team mends the file, and retries. The stage's own workspace may have another asset of that name."""
    file = "batch.yml" if is_batch else "deployment.yml"
    template = "compute: azureml:cpu\nenvironment: {}\n" if is_batch else DEPLOYMENT
    stage = batch_stage(stage.folder, test=None) if is_batch else stage
    stage = stage.with_(options={"batch_deployments" if is_batch else "deployments": [file]})
    (stage.folder / file).write_text(template.format("azureml:churn-env:2"))
    stage = shared(stage, dev)
    (stage.folder / file).write_text(template.format("azureml:churn-env:3"))
    refused = failed(stage.run("validate", workspace), FailureKind.CHANGED)
    assert refused.reason == (
        f"{file} names the environment asset azureml:churn-env:3, which it did not name when the model was shared. So "
        "nobody has looked for it in dev. Retry with `--from-step share`, or start a new promotion if a stage before "
        "test has succeeded."
    )
    validated = shared(stage, dev).validated(workspace)
    assert validated.evidence["validate"]["manifest"]["environment"] == COPY


def test_where_the_model_itself_lives_a_file_may_name_another_one_at_any_time(stage: Stage, dev: FakeWorkspace) -> None:
    rules = Rules(workspace=stage.source)
    stage = shared(named(stage, "azureml:churn-env:2"), dev).with_(asset="workspace", rules=rules)
    assert named(stage, "azureml:churn-env:3").validated(dev).evidence["validate"]["manifest"]["environment"] == ""


@pytest.mark.parametrize(
    "reference",
    [
        "azureml://registries/other/environments/churn-env/versions/3",
        "azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:1",
        "azureml:of-the-target-alone:1",
        "{image: mcr.microsoft.com/some:1}",
    ],
)
def test_any_other_environment_stays_as_the_file_says(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace, reference: str
) -> None:
    stage = shared(named(stage, reference), dev)
    assert "environments" not in stage.evidence["share"]
    validated = stage.validated(workspace)
    assert validated.evidence["validate"]["manifest"]["environment"] == ""
    assert isinstance(validated.run("deploy", workspace), Succeeded)
    assert dev.calls["start_environment_share"] == 0


def test_the_registry_has_another_environment_of_that_name_and_version(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    workspace.registry.environments[COPY] = replace(asset("3"), asset_id=COPY, conda="dependencies: []", origin="x")
    outcome = named(stage, "azureml:churn-env:3").run("share", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "another environment churn-env, version 3" in outcome.reason


def test_a_copy_that_changed_or_is_gone_is_not_deployed(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    stage = shared(named(stage, "azureml:churn-env:3"), dev)
    validated = stage.validated(workspace)
    registry = workspace.registry
    assert isinstance(registry, FakeRegistry)
    registry.environments[COPY] = replace(registry.environments[COPY], conda="dependencies: [evil]")
    for kind in (FailureKind.CONFLICT, FailureKind.NOT_FOUND):
        outcome = validated.run("deploy", workspace)
        assert isinstance(outcome, Failed)
        assert outcome.kind is kind
        assert COPY in outcome.reason
        assert not workspace.made
        registry.environments.clear()


def test_evidence_of_another_environment_does_not_pass_for_the_one_that_people_approved(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    """The source's worker, or who speaks for it, names another copy after people have approved."""
    stage = shared(named(stage, "azureml:churn-env:3"), dev)
    validated = stage.validated(workspace)
    other = COPY.replace("/3", "/2")
    workspace.registry.environments[other] = replace(asset("2", "dependencies: [evil]"), asset_id=other)
    digest = environment_digest(workspace.registry.environments[other])
    forged = {"azureml:churn-env:3": {"asset_id": other, "digest": digest}}
    share = {**stage.evidence["share"], "environments": forged}
    outcome = validated.with_(evidence={**validated.evidence, "share": share}).run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert "the environment asset" in outcome.reason
    assert not workspace.made


def test_a_champion_that_is_deployed_again_gets_the_environment_that_it_served_with(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    before = shared(named(stage, "azureml:churn-env:3"), dev).validated(workspace)
    saw = {**before.evidence, "deploy": deploy_saw("v3-gone")}
    named(stage, "azureml:churn-env:2")
    back = stage.with_(champion=champion("3", **saw), promotion="digits-4-new", version="4")
    came = back.run("reinstate", workspace)
    assert isinstance(came, Succeeded), came
    [made] = workspace.made.values()
    assert made.environment == COPY
