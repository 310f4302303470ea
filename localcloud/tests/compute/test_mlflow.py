import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud import processes
from localcloud.azureml.compute.mlflow import Tracking, TrackingError
from localcloud.azureml.compute.tracking import Metric

CLIENT = """
import json
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
experiment = client.create_experiment("churn")
good = client.create_run(experiment, run_name="good", tags={"team": "risk"})
bad = client.create_run(experiment, run_name="bad")
for run, auc in ((good, 0.9), (bad, 0.6)):
    client.log_metric(run.info.run_id, "auc", auc)
    client.log_param(run.info.run_id, "depth", 3)
client.log_metric(bad.info.run_id, "loss", float("inf"))
client.set_tag(bad.info.run_id, "why", "noise")
client.delete_tag(bad.info.run_id, "why")
client.set_terminated(bad.info.run_id, "FAILED")

def names(**question):
    return [run.info.run_name for run in client.search_runs([experiment], **question)]

def refusal(call, *arguments):
    try:
        call(*arguments)
    except MlflowException as refused:
        return refused.error_code

mlflow.set_experiment("churn")
with mlflow.start_run(run_name="third"):
    mlflow.log_metric("auc", 0.7)

read = client.get_run(bad.info.run_id)
first_page = client.search_runs([experiment], max_results=2)
second_page = client.search_runs([experiment], max_results=2, page_token=first_page.token)
client.delete_run(bad.info.run_id)
print(json.dumps({
    "bad": [read.info.status, read.data.metrics, read.data.params, read.data.tags, read.info.end_time is not None],
    "found": names(filter_string="metrics.auc >= 0.7 and tags.team = 'risk'"),
    "like": names(filter_string="attributes.run_name LIKE 'th%'"),
    "ordered": names(order_by=["metrics.auc DESC"]),
    "deleted": names(run_view_type=2),
    "pages": [len(first_page), len(second_page), second_page.token],
    "history": [metric.value for metric in client.get_metric_history(good.info.run_id, "auc")],
    "experiments": [found.name for found in client.search_experiments()],
    "absent": refusal(client.get_run, "none"),
    "changed": refusal(client.log_param, good.info.run_id, "depth", 4),
    "again": refusal(client.create_experiment, "churn"),
    "nonsense": refusal(lambda: names(filter_string="auc is high")),
}))
"""

LOGGED_MODEL = """
import json
import mlflow

class Double(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:
        return [2 * number for number in model_input]

mlflow.set_experiment("churn")
with mlflow.start_run() as run:
    logged = mlflow.pyfunc.log_model(name="double", python_model=Double(), tags={"team": "risk"})
    mlflow.set_logged_model_tags(logged.model_id, {"why": "test"})
    mlflow.delete_logged_model_tag(logged.model_id, "team")
    with mlflow.start_run(nested=True) as child:
        mlflow.log_text("of the child", "notes.txt")
again = mlflow.get_run(run.info.run_id)
model = mlflow.get_logged_model(logged.model_id)
found = mlflow.search_logged_models([run.info.experiment_id], "name = 'double'", output_format="list")
print(json.dumps({
    "predictions": [
        mlflow.pyfunc.load_model(uri).predict([1, 2])
        for uri in (f"runs:/{run.info.run_id}/double", f"models:/{logged.model_id}")
    ],
    "outputs": [output.model_id for output in again.outputs.model_outputs] == [logged.model_id],
    "found": [each.model_id for each in found] == [logged.model_id],
    "model": [model.name, str(model.status), model.tags.get("team"), model.tags["why"]],
    "of_the_run": model.source_run_id == run.info.run_id,
    "beside_the_artifacts": model.artifact_location == again.info.artifact_uri + "/double",
    "child": mlflow.artifacts.load_text(child.info.artifact_uri + "/notes.txt"),
}))
"""


async def seen_by(script: str, python: Path, tracking_uri: str, folder: Path) -> Any:
    """What a script with the real client writes at its end."""
    log = folder / "log.txt"
    environment = {"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder)}
    client = await processes.start([str(python), "-c", script], log=log, environment=environment)
    assert await client.wait() == 0, log.read_text()
    return json.loads(log.read_text().splitlines()[-1])


async def test_a_logged_model_is_among_the_artifacts_of_its_run(
    tmp_path: Path, compute_python: Path, tracking_uri: str
) -> None:
    assert await seen_by(LOGGED_MODEL, compute_python, tracking_uri, tmp_path) == {
        "predictions": [[2, 4], [2, 4]],
        "outputs": True,
        "found": True,
        "model": ["double", "READY", None, "test"],
        "of_the_run": True,
        "beside_the_artifacts": True,
        "child": "of the child",
    }


async def test_the_real_client_reads_searches_and_is_refused_as_by_mlflow_itself(
    tmp_path: Path, compute_python: Path, tracking_uri: str
) -> None:
    assert await seen_by(CLIENT, compute_python, tracking_uri, tmp_path) == {
        "bad": ["FAILED", {"auc": 0.6, "loss": float("inf")}, {"depth": "3"}, {}, True],
        "found": ["good"],
        "like": ["third"],
        "ordered": ["good", "third"],
        "deleted": ["bad"],
        "pages": [2, 1, None],
        "history": [0.9],
        "experiments": ["churn"],
        "absent": "RESOURCE_DOES_NOT_EXIST",
        "changed": "INVALID_PARAMETER_VALUE",
        "again": "RESOURCE_ALREADY_EXISTS",
        "nonsense": "INVALID_PARAMETER_VALUE",
    }


async def test_a_metric_is_its_value_at_the_highest_step(tracking: Tracking) -> None:
    tracking.start_run("job", "churn", {})
    tracking.log("job", metrics=[Metric("auc", 0.8, 20, 1), Metric("auc", 0.9, 10, 2), Metric("auc", 0.7, 30, 0)])
    assert tracking.metrics("job") == {"auc": 0.9}


async def test_a_value_that_is_sent_again_counts_once(tracking: Tracking) -> None:
    tracking.start_run("job", "churn", {})
    for value in (0.8, 0.8, float("nan"), float("nan"), 0.9):
        tracking.log("job", metrics=[Metric("auc", value, 20, 1)])
    assert len(tracking.metric_history("job", "auc")) == 3


async def test_a_batch_with_one_fault_logs_nothing(tracking: Tracking) -> None:
    tracking.start_run("job", "churn", {})
    tracking.log("job", params={"depth": "3"})
    with pytest.raises(TrackingError, match="Parameter depth of run job is '3' and cannot be changed to '4'"):
        tracking.log("job", metrics=[Metric("auc", 0.8, 0, 0)], params={"depth": "4"}, tags={"a": "b"})
    assert (tracking.metrics("job"), tracking.params("job"), tracking.tags("job")) == ({}, {"depth": "3"}, {})


async def test_runs_survive_a_restart_and_run_again(tmp_path: Path, tracking: Tracking) -> None:
    tracking.start_run("job", "churn", {"team": "risk"})
    tracking.log("job", metrics=[Metric("auc", 0.8, 0, 0)])
    tracking.end_run("job", "FAILED")
    tracking.close()
    reopened = Tracking(tmp_path / "tracking.db", lambda _, run: f"file:///{run}")
    reopened.start_run("job", "churn", {})
    assert reopened.metrics("job") == {"auc": 0.8}
    assert reopened.tags("job") == {"team": "risk"}
    assert (reopened.run("job").status, reopened.run("job").ended) == ("RUNNING", None)
    reopened.close()


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("runs/log-metric", "{not json", "INVALID_PARAMETER_VALUE"),
        ("runs/log-metric", "[]", "INVALID_PARAMETER_VALUE"),
        ("runs/log-metric", '{"run_id": "job", "key": "auc", "value": "high"}', "INVALID_PARAMETER_VALUE"),
        ("runs/log-metric", '{"run_id": "job", "key": "auc", "value": 1, "step": "x"}', "INVALID_PARAMETER_VALUE"),
        ("runs/log-batch", '{"run_id": "job", "metrics": 3}', "INVALID_PARAMETER_VALUE"),
        ("runs/log-batch", '{"run_id": "job", "tags": ["team"]}', "INVALID_PARAMETER_VALUE"),
        ("runs/update", '{"run_id": "job", "status": "HAPPY"}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": ["1"], "filter": "colour.x = 1"}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": ["1"], "order_by": ["metrics.auc sideways"]}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": ["1"], "max_results": "many"}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": 1}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": ["1"], "order_by": 5}', "INVALID_PARAMETER_VALUE"),
        ("runs/search", '{"experiment_ids": ["1"], "filter": 5}', "INVALID_PARAMETER_VALUE"),
        ("logged-models", '{"experiment_id": "1", "name": "../up"}', "INVALID_PARAMETER_VALUE"),
        ("logged-models", '{"experiment_id": "1", "tags": 5}', "INVALID_PARAMETER_VALUE"),
        ("runs/outputs", '{"run_id": "none", "models": []}', "RESOURCE_DOES_NOT_EXIST"),
        ("runs/set-tag", '{"key": "team", "value": "risk"}', "INVALID_PARAMETER_VALUE"),
        ("runs/create", '{"experiment_id": "77"}', "RESOURCE_DOES_NOT_EXIST"),
    ],
)
async def test_bad_requests_are_answered_in_the_shape_of_mlflow(
    tracking: Tracking, tracking_uri: str, path: str, body: str, code: str
) -> None:
    tracking.start_run("job", "churn", {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{tracking_uri}/api/2.0/mlflow/{path}", data=body) as answer,
    ):
        assert answer.status == (404 if code == "RESOURCE_DOES_NOT_EXIST" else 400)
        error = await answer.json()
    assert error["error_code"] == code
    assert error["message"]
    assert tracking.metrics("job") == {}
