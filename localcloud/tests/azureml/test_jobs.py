"""Jobs as real processes: inputs, outputs, metrics, failure, cancelling and pipelines."""

from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, command, dsl
from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import CommandComponent, Data, Environment, Model
from azure.ai.ml.exceptions import JobException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from .conftest import ControlPlane, until, workspace_id

TRAINING = """
import sys
from pathlib import Path
import mlflow
rows, model = Path(sys.argv[1]), Path(sys.argv[2])
mlflow.log_metric("auc", 0.91)
(model / "model.txt").write_text(rows.read_text() + sys.argv[3])
print("trained")
"""


@pytest.fixture(scope="module")
def environment(cloud: ControlPlane) -> str:
    cloud.client().environments.create_or_update(Environment(name="training", version="1", image="image"))
    return "azureml:training:1"


def state(cloud: ControlPlane, name: str) -> str:
    return str(cloud.client().jobs.get(name).status.value)


def ended(cloud: ControlPlane, name: str) -> str:
    terminal = ("Completed", "Failed", "Canceled")
    return str(until(lambda: (status := state(cloud, name)) in terminal and status))


def metrics(cloud: ControlPlane, run: str) -> dict[str, Any]:
    uri = cloud.client().workspaces.get("ws-dev").mlflow_tracking_uri.replace("azureml:", "https:")
    data = cloud.call("GET", f"{uri}/api/2.0/mlflow/runs/get?run_id={run}").json()["run"]["data"]
    return {metric["key"]: metric["value"] for metric in data["metrics"]}


def test_a_command_job_leaves_a_model_metrics_and_a_log(cloud: ControlPlane, environment: str, tmp_path: Path) -> None:
    client = cloud.client()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(TRAINING)
    (tmp_path / "rows.csv").write_text("1,2")
    client.data.create_or_update(
        Data(name="training-rows", version="1", path=str(tmp_path / "rows.csv"), type="uri_file")
    )
    job = command(
        name="train-1",
        code=tmp_path / "code",
        command="python train.py ${{inputs.rows}} ${{outputs.model}} ${{inputs.depth}}",
        environment=environment,
        compute="cpu",
        experiment_name="churn-training",
        inputs={"rows": Input(type="uri_file", path="azureml:training-rows:1"), "depth": 3},
        outputs={"model": Output(type="custom_model")},
        tags={"promote": "true"},
    )
    client.jobs.create_or_update(job)
    assert ended(cloud, "train-1") == "Completed"
    assert metrics(cloud, "train-1") == {"auc": 0.91}
    client.jobs.download("train-1", download_path=tmp_path / "down", all=True)
    assert (tmp_path / "down" / "named-outputs" / "model" / "model.txt").read_text() == "1,23"
    assert "trained" in (tmp_path / "down" / "artifacts" / "user_logs" / "std_log.txt").read_text()
    model = client.models.create_or_update(
        Model(name="trained", version="1", path="azureml://jobs/train-1/outputs/model", type="custom_model")
    )
    assert model.job_name == "train-1"
    assert model.path.endswith("azureml/train-1/model")
    run = cloud.call("GET", f"/history/v1.0{workspace_id('ws-dev')}/runs/train-1").json()
    assert run["userId"] == run["createdBy"]["userObjectId"] == "object-ann"
    managed = f"/modelmanagement/v1.0{workspace_id('ws-dev')}/models/trained"
    assert cloud.call("GET", f"{managed}:1").json()["createdBy"]["userObjectId"] == "object-ann"
    assert cloud.call("GET", f"{managed}:2").status_code == 404


@pytest.mark.parametrize(
    "curated", ["AzureML-sklearn-1.5@latest", "azureml://registries/azureml/environments/sklearn-1.5/versions/1"]
)
def test_a_curated_environment_is_taken_to_be_there(cloud: ControlPlane, curated: str) -> None:
    job = cloud.client().jobs.create_or_update(command(command="true", environment=curated, compute="cpu"))
    assert job.name
    assert ended(cloud, job.name) == "Completed"


def test_a_failing_job_tells_its_exit_code_and_the_end_of_its_log(
    cloud: ControlPlane, environment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = cloud.client()
    client.jobs.create_or_update(
        command(name="fails", command="echo so sad; exit 3", environment=environment, compute="cpu")
    )
    assert ended(cloud, "fails") == "Failed"
    with pytest.raises(JobException, match=r"exited with status code 3.*so sad"):
        client.jobs.stream("fails")


def test_a_job_without_its_files_fails_in_words(cloud: ControlPlane, environment: str) -> None:
    rows = Input(type="uri_file", path="azureml://datastores/workspaceblobstore/paths/nowhere.csv")
    job = command(
        name="no-files", command="cat ${{inputs.rows}}", environment=environment, compute="cpu", inputs={"rows": rows}
    )
    cloud.client().jobs.create_or_update(job)
    assert ended(cloud, "no-files") == "Failed"
    details = cloud.call("GET", f"/history/v1.0{workspace_id('ws-dev')}/runs/no-files/details").json()
    assert "There are no files at" in details["error"]["error"]["message"]


def test_an_output_with_a_name_is_registered(cloud: ControlPlane, environment: str) -> None:
    client = cloud.client()
    for number in ("1", "2"):
        job = command(
            name=f"registers-{number}",
            command="echo hi > ${{outputs.model}}/greeting.txt; echo 1 > ${{outputs.rows}}",
            environment=environment,
            compute="cpu",
            outputs={
                "model": Output(type="custom_model", name="registered-by-job"),
                "rows": Output(type="uri_file", name="rows-of-job", version=f"v{number}"),
            },
        )
        client.jobs.create_or_update(job)
        assert ended(cloud, f"registers-{number}") == "Completed"
    assert client.models.get("registered-by-job", "2").job_name == "registers-2"
    assert [data.version for data in client.data.list("rows-of-job")] == ["v1", "v2"]


def test_a_cancelled_job_ends_as_canceled(cloud: ControlPlane, environment: str) -> None:
    client = cloud.client()
    client.jobs.create_or_update(command(name="long", command="sleep 60", environment=environment, compute="cpu"))
    until(lambda: state(cloud, "long") == "Running")
    client.jobs.begin_cancel("long")
    assert ended(cloud, "long") == "Canceled"
    listed = [job.name for job in client.jobs.list()]
    assert "long" in listed


def test_a_pipeline_runs_its_nodes_in_order_and_leaves_the_output_of_the_last(
    cloud: ControlPlane, environment: str, tmp_path: Path
) -> None:
    client = cloud.client()
    write = client.components.create_or_update(
        CommandComponent(
            name="write",
            version="1",
            command="echo ${{inputs.number}} > ${{outputs.folder}}/number",
            environment=environment,
            inputs={"number": Input(type="number", default=1.0)},
            outputs={"folder": Output(type="uri_folder")},
        )
    )
    copy = client.components.create_or_update(
        CommandComponent(
            name="copy",
            version="1",
            command="cp ${{inputs.folder}}/number ${{outputs.model}}/greeting.txt",
            environment=environment,
            inputs={"folder": Input(type="uri_folder")},
            outputs={"model": Output(type="custom_model")},
        )
    )

    @dsl.pipeline(None, compute="cpu")
    def train(number: float = 2.0) -> dict[str, Any]:
        first = write(number=number)
        second = copy(folder=first.outputs.folder)
        return {"model": second.outputs.model}

    pipeline = client.jobs.create_or_update(train(), experiment_name="pipelines")
    assert ended(cloud, pipeline.name) == "Completed"
    children = list(client.jobs.list(parent_job_name=pipeline.name))
    assert {child.display_name for child in children} == {"first", "second"}
    assert {child.name for child in children}.isdisjoint(job.name for job in client.jobs.list())
    model = f"azureml://jobs/{pipeline.name}/outputs/model"
    client.models.create_or_update(Model(name="piped", version="1", path=model, type="custom_model"))
    client.models.download("piped", "1", download_path=tmp_path)
    assert next(tmp_path.rglob("greeting.txt")).read_text() == "2.0\n"


@pytest.mark.parametrize(
    ("name", "properties", "words"),
    [
        ("automl", {"jobType": "AutoML"}, "only Command and Pipeline jobs"),
        ("..", {"jobType": "Command"}, ""),
        ("a b", {"jobType": "Command"}, "not a valid job name"),
    ],
)
def test_a_job_that_cannot_run_is_refused(
    cloud: ControlPlane, name: str, properties: dict[str, str], words: str
) -> None:
    answer = cloud.call("PUT", f"{workspace_id('ws-dev')}/jobs/{name}", json={"properties": properties})
    assert answer.status_code in (400, 404, 405)
    assert words in answer.json()["error"]["message"]


def test_an_output_is_downloaded_from_the_place_that_the_job_gave_it(
    cloud: ControlPlane, environment: str, tmp_path: Path
) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/reports/weekly"
    job = command(
        name="reports",
        command="echo good > ${{outputs.report}}/report.txt; echo 0.9 > ${{outputs.score}}",
        environment=environment,
        compute="cpu",
        outputs={"report": Output(type="uri_folder", path=place), "score": Output(type="uri_file")},
    )
    jobs = cloud.client().jobs
    jobs.create_or_update(job)
    assert ended(cloud, "reports") == "Completed"
    for output in ("report", "score"):
        jobs.download("reports", download_path=tmp_path, output_name=output)
    assert (tmp_path / "named-outputs" / "report" / "report.txt").read_text() == "good\n"
    assert (tmp_path / "named-outputs" / "score" / "score").read_text() == "0.9\n"


def test_a_job_is_archived_restored_and_described_again(cloud: ControlPlane, environment: str) -> None:
    jobs = cloud.client().jobs
    jobs.create_or_update(command(name="old", command="true", environment=environment, compute="cpu"))
    assert ended(cloud, "old") == "Completed"
    jobs.archive("old")
    assert "old" not in [job.name for job in jobs.list()]
    assert "old" in [job.name for job in jobs.list(list_view_type=ListViewType.ARCHIVED_ONLY)]
    jobs.restore("old")
    assert "old" in [job.name for job in jobs.list()]
    job = jobs.get("old")
    job.description = "of no use any more"
    assert jobs.create_or_update(job).description == "of no use any more"


def test_a_name_is_not_taken_for_another_job(cloud: ControlPlane, environment: str) -> None:
    def submit(words: str) -> None:
        job = command(name="taken", command=f"echo {words}", environment=environment, compute="cpu")
        cloud.client().jobs.create_or_update(job)

    submit("first")
    submit("first")
    with pytest.raises(HttpResponseError, match="its command cannot be changed") as refusal:
        submit("second")
    assert refusal.value.status_code == 400


def test_a_job_that_takes_longer_than_its_limit_is_cancelled(cloud: ControlPlane, environment: str) -> None:
    job = command(name="endless", command="sleep 300", environment=environment, compute="cpu")
    job.set_limits(timeout=1)
    cloud.client().jobs.create_or_update(job)
    assert ended(cloud, "endless") == "Canceled"
    details = cloud.call("GET", f"/history/v1.0{workspace_id('ws-dev')}/runs/endless/details").json()
    assert "longer than its limit" in details["error"]["error"]["message"]


def test_an_artifact_of_a_run_becomes_a_model(cloud: ControlPlane, environment: str, tmp_path: Path) -> None:
    client = cloud.client()
    script = "mkdir -p outputs/net && echo weights > outputs/net/weights.txt"
    client.jobs.create_or_update(command(name="artist", command=script, environment=environment, compute="cpu"))
    assert ended(cloud, "artist") == "Completed"
    model = Model(name="from-artifact", version="1", path="runs:/artist/outputs/net", type="custom_model")
    assert client.models.create_or_update(model).job_name == "artist"
    client.models.download("from-artifact", "1", tmp_path)
    assert (tmp_path / "from-artifact" / "net" / "weights.txt").read_text() == "weights\n"
    with pytest.raises(ResourceNotFoundError, match="Run nobody was not found"):
        client.models.create_or_update(Model(name="from-nobody", path="runs:/nobody/net", type="custom_model"))


REGISTERING = """
import mlflow

class Double(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:
        return [2 * number for number in model_input]

with mlflow.start_run() as run:
    mlflow.pyfunc.log_model(name="net", python_model=Double(), registered_model_name="by-mlflow")
    mlflow.register_model(f"runs:/{run.info.run_id}/net", "by-mlflow", tags={"again": "yes"})
    try:
        mlflow.register_model("file:///etc", "by-mlflow")
    except mlflow.exceptions.MlflowException as refused:
        print(refused)
"""


def test_a_job_registers_its_model_with_mlflow(cloud: ControlPlane, environment: str, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(REGISTERING)
    client = cloud.client()
    job = command(name="registers", code=tmp_path / "code", command="python train.py", environment=environment)
    client.jobs.create_or_update(job)
    assert ended(cloud, "registers") == "Completed"
    first, second = client.models.get("by-mlflow", "1"), client.models.get("by-mlflow", "2")
    assert (first.type, first.job_name, second.tags) == ("mlflow_model", "registers", {"again": "yes"})
    assert [model.version for model in client.models.list("by-mlflow")] == ["1", "2"]
    client.models.download("by-mlflow", "1", tmp_path)
    assert (tmp_path / "by-mlflow" / "net" / "MLmodel").exists()
    client.jobs.download("registers", download_path=tmp_path / "down")
    log = (tmp_path / "down" / "artifacts" / "user_logs" / "std_log.txt").read_text()
    assert "file:///etc is not among the artifacts of a run" in log


def test_the_output_of_a_step_is_registered_under_the_name_that_the_step_gives_it(
    cloud: ControlPlane, environment: str
) -> None:
    client = cloud.client()
    write = client.components.create_or_update(
        CommandComponent(
            name="write_named",
            version="1",
            command="echo 1 > ${{outputs.inner}}/number && echo 2 > ${{outputs.both}}/number",
            environment=environment,
            outputs={"inner": Output(type="uri_folder"), "both": Output(type="uri_folder")},
        )
    )

    @dsl.pipeline(None, compute="cpu")
    def named() -> dict[str, Any]:
        step = write()
        step.outputs.inner = Output(type="uri_folder", name="of-step", version="7")
        return {"both": step.outputs.both}

    pipeline = client.jobs.create_or_update(named(), experiment_name="pipelines")
    assert ended(cloud, pipeline.name) == "Completed"
    (child,) = client.jobs.list(parent_job_name=pipeline.name)
    assert child.name in client.data.get("of-step", "7").path


def test_an_output_that_step_and_pipeline_name_is_registered_under_both_names(
    cloud: ControlPlane, environment: str
) -> None:
    client = cloud.client()
    component = CommandComponent(
        name="write_twice_named",
        version="1",
        command="echo 1 > ${{outputs.folder}}/number",
        environment=environment,
        outputs={"folder": Output(type="uri_folder")},
    )
    bound = {"type": "literal", "value": "${{parent.outputs.folder}}", "name": "by-step", "version": "1"}
    node = {"componentId": client.components.create_or_update(component).id, "outputs": {"folder": bound}}
    named = {"jobOutputType": "uri_folder", "assetName": "by-pipeline", "assetVersion": "1"}
    properties = {"jobType": "Pipeline", "jobs": {"write": node}, "outputs": {"folder": named}}
    answer = cloud.call("PUT", f"{workspace_id('ws-dev')}/jobs/twice-named", json={"properties": properties})
    assert answer.status_code == 201
    assert ended(cloud, "twice-named") == "Completed"
    assert client.data.get("by-step", "1").path == client.data.get("by-pipeline", "1").path


def test_a_job_is_kept_with_the_default_modes_of_its_data(cloud: ControlPlane, environment: str) -> None:
    job = command(
        name="with-modes",
        command="true",
        environment=environment,
        inputs={"rows": Input(type="uri_file", path="azureml://datastores/workspaceblobstore/paths/none")},
        outputs={"model": Output(type="uri_folder"), "log": Output(type="uri_folder", mode="upload")},
    )
    made = cloud.client().jobs.create_or_update(job)
    assert made.inputs["rows"].mode == "ro_mount"
    assert (made.outputs["model"].mode, made.outputs["log"].mode) == ("rw_mount", "upload")
    assert made.outputs["model"].path is None
    again = cloud.client().jobs.create_or_update(job)
    assert again.name == "with-modes"
