"""What every workspace must do with pipelines: the adapter of Azure ML, against the local one, and the fake of the fast
tests."""

from dataclasses import replace

import pytest

from shared.ports import (
    Bound,
    BusyError,
    Component,
    EnvironmentAsset,
    Node,
    PipelineSubmission,
    RejectedError,
    Workspace,
)
from tests.cloud.local_azure import until
from tests.fakes.workspace import FakeWorkspace

CURATED = "azureml://registries/azureml/environments/sklearn-1.5/versions/33"
FILES = {"train.py": b"print('trained')\n", "helpers/__init__.py": b""}


@pytest.fixture(params=["fake", "real"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """One whose identity may write to the registry."""
    if request.param == "fake":
        return FakeWorkspace(polls_until_ready=1)
    found: Workspace = request.getfixturevalue("dev")
    return found


@pytest.fixture
def code(workspace: Workspace, name: str) -> str:
    """Registered code, by its id."""
    workspace.start_code(f"code-{name}", "1", FILES)
    asset = workspace.registry_id("codes", f"code-{name}", "1")
    until(lambda: workspace.has_code(asset), "the code")
    return asset


def trains(code: str) -> Component:
    return Component("command", code, CURATED, {"command": "python train.py", "inputs": {"rate": {"type": "number"}}})


def registered(workspace: Workspace, name: str, component: Component) -> str:
    workspace.start_component(name, "1", component, {"team": "churn"})
    asset = workspace.registry_id("components", name, "1")
    until(lambda: workspace.component(asset), "the component")
    return asset


def test_what_is_not_there_is_none(workspace: Workspace) -> None:
    assert workspace.pipeline_job("nobody") is None
    assert workspace.component(workspace.registry_id("components", "nobody", "1")) is None
    assert workspace.environment_asset(workspace.registry_id("environments", "nobody", "1")) is None
    assert workspace.code_files(workspace.registry_id("codes", "nobody", "1")) is None
    assert not workspace.has_code(workspace.registry_id("codes", "nobody", "1"))


def test_code_comes_back_as_it_was_registered(workspace: Workspace, code: str) -> None:
    assert workspace.code_files(code) == FILES


def test_a_component_comes_back_as_it_was_registered(workspace: Workspace, name: str, code: str) -> None:
    made = workspace.component(registered(workspace, f"c_{name.replace('-', '_')}", trains(code)))
    assert made is not None
    assert (made.kind, made.code, made.environment) == ("command", code, CURATED)
    assert made.specification["command"] == "python train.py"


def test_a_version_of_a_component_is_never_another(workspace: Workspace, name: str, code: str) -> None:
    name = f"c_{name.replace('-', '_')}"
    registered(workspace, name, trains(code))
    other = replace(trains(code), specification={"command": "echo other"})
    with pytest.raises(BusyError):
        workspace.start_component(name, "1", other, {})


def test_a_component_with_code_that_the_registry_does_not_have_is_refused_or_never_there(
    workspace: Workspace, name: str
) -> None:
    in_workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/codes/c"
    with pytest.raises(RejectedError):
        workspace.start_component(f"c_{name.replace('-', '_')}", "1", trains(f"{in_workspace}/versions/1"), {})


def test_an_environment_comes_back_with_its_content(workspace: Workspace, name: str) -> None:
    asset = EnvironmentAsset("", "", "", "image:1", '{"dependencies": ["pip"]}')
    workspace.start_environment(f"environment-{name}", "1", asset)
    key = workspace.registry_id("environments", f"environment-{name}", "1")
    made = until(lambda: workspace.environment_asset(key), "the environment")
    assert (made.asset_id, made.name, made.version, made.image) == (key, f"environment-{name}", "1", "image:1")
    assert "pip" in made.conda


def test_a_job_of_registered_components_is_one_however_often_it_is_submitted(
    workspace: Workspace, name: str, code: str
) -> None:
    component = registered(workspace, f"c_{name.replace('-', '_')}", trains(code))
    node = Node("command", component, {"rate": Bound("${{parent.inputs.rate}}")})
    wanted = PipelineSubmission(
        f"job-{name}", "contract", {"train": node}, {"rate": Bound("0.1")}, {}, "cpu", tags={"mlpromote.promotion": "p"}
    )

    workspace.start_pipeline(wanted)
    workspace.start_pipeline(wanted)
    job = workspace.pipeline_job(f"job-{name}")
    assert job is not None
    assert (job.experiment, job.compute, job.tags["mlpromote.promotion"]) == ("contract", "cpu", "p")
    assert job.is_pipeline
    assert {key: each.component for key, each in job.nodes.items()} == {"train": component}
    assert job.nodes["train"].inputs["rate"].value == "${{parent.inputs.rate}}"
    assert job.inputs["rate"].value == "0.1"
    submitted = workspace.submitted_job(f"job-{name}")
    assert submitted is not None
    assert submitted.tags["mlpromote.promotion"] == "p"
