"""Pipelines: their children as Azure shows them, and jobs that run a pipeline component whose graph nobody can read."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, command, dsl
from azure.ai.ml.entities import (
    CommandComponent,
    Component,
    Data,
    Environment,
    PipelineComponent,
    PipelineJob,
    PipelineJobSettings,
)
from azure.storage.blob import ContainerClient

from .conftest import ControlPlane, Plane, until, workspace_id
from .test_jobs import ended

WORKSPACE = workspace_id("ws-dev")
REGISTRY = "azureml://registries/contoso-ml"
REGISTRY_URL = (
    "/mferp/managementfrontend/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/registries"
    "/providers/Microsoft.MachineLearningServices/registries/contoso-ml"
)
SCRIPT = """
import os, sys
from pathlib import Path
import mlflow
mlflow.log_metric("auc", float(sys.argv[1]))
(Path(sys.argv[2]) / "model.txt").write_text(os.environ["AZUREML_ROOT_RUN_ID"])
"""


@pytest.fixture(scope="module")
def train(cloud: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Component:
    """A command component of the registry with code of its own, which logs a metric and leaves a model.

    Its name is its own: other modules use this fixture too, of the same cloud if one worker runs them.
    """
    folder = tmp_path_factory.mktemp("train")
    (folder / "train.py").write_text(SCRIPT)
    registry = cloud.registry()
    environment = registry.environments.create_or_update(Environment(name="pipelines", version="1", image="image"))
    component: Component = registry.components.create_or_update(
        CommandComponent(
            name=f"train_{uuid.uuid4().hex[:8]}",
            version="1",
            code=str(folder),
            command="python train.py ${{inputs.auc}} ${{outputs.model}}",
            environment=environment.id,
            inputs={"auc": Input(type="number", default=0.5)},
            outputs={"model": Output(type="custom_model")},
        )
    )
    return component


def put_pipeline_component(cloud: ControlPlane, name: str, nodes: dict[str, Any], **more: Any) -> str:
    """Registers a pipeline component in the registry; its id."""
    specification = {"type": "pipeline", "name": name, "jobs": nodes, **more}
    body = {"properties": {"componentSpec": specification}}
    cloud.call("PUT", f"{REGISTRY_URL}/components/{name}/versions/1", json=body).raise_for_status()
    return f"{REGISTRY}/components/{name}/versions/1"


def training_component(cloud: ControlPlane, train: Component, name: str) -> str:
    node = {
        "componentId": train.id,
        "inputs": {"auc": {"job_input_type": "literal", "value": "${{parent.inputs.auc}}"}},
        "outputs": {"model": {"value": "${{parent.outputs.model}}", "type": "literal"}},
    }
    inputs, outputs = {"auc": {"type": "number", "default": "0.7"}}, {"model": {"type": "custom_model"}}
    return put_pipeline_component(cloud, name, {"train": node}, inputs=inputs, outputs=outputs)


def history(cloud: ControlPlane, run: str) -> dict[str, Any]:
    answer = cloud.call("GET", f"/history/v1.0{WORKSPACE}/runs/{run}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def downloaded(cloud: ControlPlane, code: str, folder: Path) -> Path:
    """The files of a code asset of `ws-dev`, read with the key of the storage account that they are in."""
    uri = cloud.call("GET", code).json()["properties"]["codeUri"]
    container, prefix = uri.split("/")[-2:]
    store = f"{WORKSPACE}/datastores/workspaceblobstore"
    place = cloud.call("GET", store).json()["properties"]
    key = cloud.call("POST", f"{store}/listSecrets").json()["key"]
    account = f"https://{place['accountName']}.blob.{place['endpoint']}"
    folder.mkdir()
    with ContainerClient(account, container, credential=key) as client:
        for blob in client.list_blobs(name_starts_with=f"{prefix}/"):
            (folder / blob.name.removeprefix(f"{prefix}/")).write_bytes(client.download_blob(blob.name).readall())
    return folder


def runs_below(cloud: ControlPlane, experiment: str, parent: str) -> list[dict[str, Any]]:
    api = f"/mlflow/v1.0{WORKSPACE}/api/2.0/mlflow"
    found = cloud.call("GET", f"{api}/experiments/get-by-name?experiment_name={experiment}").json()
    wanted = {
        "experiment_ids": [found["experiment"]["experiment_id"]],
        "filter": f"tags.mlflow.parentRunId='{parent}'",
    }
    runs: list[dict[str, Any]] = cloud.call("POST", f"{api}/runs/search", json=wanted).json()["runs"]
    return runs


def test_a_child_is_read_from_the_run_history_and_its_metrics_are_found_by_its_parent(
    cloud: ControlPlane, train: Component, tmp_path: Path
) -> None:
    @dsl.pipeline(None, compute="cpu", experiment_name="children")
    def pipeline() -> dict[str, Any]:
        step = train(auc=0.75)
        return {"model": step.outputs.model}

    client = cloud.client()
    root = client.jobs.create_or_update(pipeline())
    assert ended(cloud, root.name) == "Completed"
    (child,) = client.jobs.list(parent_job_name=root.name)
    assert str(uuid.UUID(child.name)) == child.name
    arm = cloud.call("GET", f"{WORKSPACE}/jobs/{child.name}").json()
    assert set(arm) == {"id", "name", "type", "systemData"}
    assert client.jobs.get(child.name).display_name == "step"
    run = history(cloud, child.name)
    assert (run["runType"], run["parentRunId"], run["rootRunId"]) == ("azureml.StepRun", root.name, root.name)
    notes = run["properties"]
    assert (notes["azureml.pipelinerunid"], notes["azureml.rootpipelinerunid"]) == (root.name, root.name)
    assert (notes["azureml.moduleName"], notes["azureml.moduleVersion"]) == (train.name, "1")
    assert notes["ContentSnapshotId"]
    assert run["tags"] == {"azureml.nodeid": notes["azureml.nodeid"], "azureml.pipeline": root.name}
    (found,) = runs_below(cloud, "children", root.name)
    assert found["info"]["run_id"] == child.name
    assert [(metric["key"], metric["value"]) for metric in found["data"]["metrics"]] == [("auc", 0.75)]
    client.jobs.download(child.name, download_path=tmp_path, all=True)
    assert next(tmp_path.rglob("model.txt")).read_text() == root.name


def test_a_job_of_a_pipeline_component_of_the_registry_runs_its_graph(
    cloud: ControlPlane, train: Component, tmp_path: Path
) -> None:
    component = training_component(cloud, train, "pipelines_whole")
    shown = cloud.call("GET", f"{REGISTRY_URL}/components/pipelines_whole/versions/1").json()
    assert "jobs" not in shown["properties"]["componentSpec"]
    named = Output(type="custom_model", name="by-component", version="4")
    job = PipelineJob(component=component, name="of-component", experiment_name="whole", outputs={"model": named})
    job.settings = PipelineJobSettings(default_compute="cpu")
    client = cloud.client()
    client.jobs.create_or_update(job)
    assert ended(cloud, "of-component") == "Completed"
    answer = cloud.call("GET", f"{WORKSPACE}/jobs/of-component").json()["properties"]
    assert answer["properties"]["azureml.SourceComponentId"] == answer["componentId"] == component
    (found,) = runs_below(cloud, "whole", "of-component")
    assert found["data"]["metrics"][0]["value"] == 0.7
    assert client.models.get("by-component", "4").job_name == found["info"]["run_id"]
    client.models.download("by-component", "4", tmp_path)
    assert next(tmp_path.rglob("model.txt")).read_text() == "of-component"
    again = cloud.call("PUT", f"{WORKSPACE}/jobs/of-component", json={"properties": {"componentId": train.id}})
    assert "its componentId cannot be changed" in again.json()["error"]["message"]


def test_a_pipeline_in_a_pipeline_runs_below_it(cloud: ControlPlane, train: Component) -> None:
    inner = training_component(cloud, train, "pipelines_inner")
    node = {"type": "pipeline", "componentId": inner, "inputs": {"auc": {"job_input_type": "literal", "value": "0.9"}}}
    properties = {"jobType": "Pipeline", "experimentName": "nested", "jobs": {"inner": node}}
    assert cloud.call("PUT", f"{WORKSPACE}/jobs/nested", json={"properties": properties}).status_code == 201
    assert ended(cloud, "nested") == "Completed"
    (middle,) = cloud.client().jobs.list(parent_job_name="nested")
    (leaf,) = runs_below(cloud, "nested", middle.name)
    assert leaf["data"]["metrics"][0]["value"] == 0.9
    assert history(cloud, leaf["info"]["run_id"])["rootRunId"] == "nested"


def test_a_job_of_a_component_that_does_not_exist_is_refused(cloud: ControlPlane) -> None:
    component = f"{REGISTRY}/components/nobody/versions/1"
    properties = {"jobType": "Pipeline", "componentId": component, "jobs": {}}
    answer = cloud.call("PUT", f"{WORKSPACE}/jobs/of-nobody", json={"properties": properties})
    assert (answer.status_code, component in answer.text) == (400, True)
    assert cloud.call("GET", f"{WORKSPACE}/jobs/of-nobody").status_code == 404


def test_a_component_made_from_a_job_runs_what_the_job_ran(
    cloud: ControlPlane, train: Component, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1,2")
    client = cloud.client()
    rows = client.data.create_or_update(
        Data(name="pipeline-rows", version="1", path=str(tmp_path / "rows.csv"), type="uri_file")
    )

    @dsl.pipeline(None, compute="cpu", experiment_name="from-job")
    def pipeline(rows: Input, auc: float) -> dict[str, Any]:
        step = train(auc=auc)
        return {"model": step.outputs.model}

    first = client.jobs.create_or_update(pipeline(Input(type="uri_file", path=rows.id), 0.6))
    assert ended(cloud, first.name) == "Completed"
    made = client.components.create_or_update(PipelineComponent(name="from_job", source_job_id=first.id))
    assert {name: each.type for name, each in made.inputs.items()} == {"rows": "path"}
    assert list(made.outputs) == ["model"]
    properties = {
        "jobType": "Pipeline",
        "experimentName": "from-component",
        "componentId": made.id,
        "jobs": {},
        "settings": {"force_rerun": True},
    }
    cloud.call("PUT", f"{WORKSPACE}/jobs/again-from-job", json={"properties": properties}).raise_for_status()
    assert ended(cloud, "again-from-job") == "Completed"
    (found,) = runs_below(cloud, "from-component", "again-from-job")
    assert found["data"]["metrics"][0]["value"] == 0.6


def test_a_pipeline_job_of_one_workspace_is_rebuilt_in_the_registry_and_runs_in_another(
    plane: Plane, tmp_path: Path
) -> None:
    keyed = {"id": WORKSPACE, "datastore_secrets": "AccountKey"}
    cloud = plane(workspaces=[keyed, {"id": workspace_id("ws-test")}])
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    dev, registry, test = cloud.client(), cloud.registry(), cloud.client("ws-test")
    dev.environments.create_or_update(Environment(name="rebuilt", version="1", image="image"))
    inline = command(
        code=str(tmp_path / "code"),
        command="python train.py 0.8 ${{outputs.model}}",
        environment="azureml:rebuilt:1",
        outputs={"model": Output(type="custom_model")},
    )

    @dsl.pipeline(None, compute="cpu", experiment_name="source")
    def pipeline() -> dict[str, Any]:
        step = inline()
        return {"model": step.outputs["model"]}

    source = dev.jobs.create_or_update(pipeline())
    assert ended(cloud, source.name) == "Completed"
    graph = cloud.call("GET", f"{WORKSPACE}/jobs/{source.name}").json()["properties"]["jobs"]
    component = graph["step"]["componentId"]
    assert "/components/azureml_anonymous/versions/" in component
    read = cloud.call("GET", component).json()["properties"]["componentSpec"]
    code = downloaded(cloud, read["code"].removeprefix("azureml:"), tmp_path / "down")
    shared = dev.environments.share(
        "rebuilt", "1", share_with_name="rebuilt", share_with_version="1", registry_name="contoso-ml"
    )
    rebuilt = registry.components.create_or_update(
        CommandComponent(
            name="rebuilt_step",
            version="1",
            code=str(code),
            command=read["command"],
            environment=shared.id,
            outputs={"model": Output(type="custom_model")},
        )
    )
    nodes = {"step": {**graph["step"], "componentId": rebuilt.id}}
    whole = put_pipeline_component(cloud, "rebuilt_whole", nodes, outputs={"model": {"type": "custom_model"}})
    test.jobs.create_or_update(PipelineJob(component=whole, name="elsewhere", experiment_name="elsewhere"))
    terminal = ("Completed", "Failed", "Canceled")
    assert until(lambda: (status := test.jobs.get("elsewhere").status.value) in terminal and status) == "Completed"
    (child,) = test.jobs.list(parent_job_name="elsewhere")
    api = f"/mlflow/v1.0{workspace_id('ws-test')}/api/2.0/mlflow"
    (metric,) = cloud.call("GET", f"{api}/runs/get?run_id={child.name}").json()["run"]["data"]["metrics"]
    assert (metric["key"], metric["value"]) == ("auc", 0.8)


def test_cancelling_a_pipeline_ends_the_steps_of_a_pipeline_in_it(cloud: ControlPlane, train: Component) -> None:
    registry = cloud.registry()
    sleep = registry.components.create_or_update(
        CommandComponent(
            name="pipelines_sleep",
            version="1",
            command="sleep 300",
            environment=f"{REGISTRY}/environments/pipelines/versions/1",
        )
    )
    inner = put_pipeline_component(cloud, "pipelines_sleeper", {"sleep": {"componentId": sleep.id}})
    properties = {"jobType": "Pipeline", "experimentName": "sleepers", "jobs": {"inner": {"componentId": inner}}}
    cloud.call("PUT", f"{WORKSPACE}/jobs/sleeper", json={"properties": properties}).raise_for_status()

    def leaves() -> list[str]:
        return [
            leaf["info"]["run_id"]
            for middle in cloud.client().jobs.list(parent_job_name="sleeper")
            for leaf in runs_below(cloud, "sleepers", middle.name)
        ]

    (leaf,) = until(leaves)
    until(lambda: history(cloud, leaf)["status"] == "Running")
    cloud.client().jobs.begin_cancel("sleeper")
    until(lambda: history(cloud, leaf)["status"] == "Canceled")
    assert ended(cloud, "sleeper") == "Canceled"
