"""The steps of a pipeline job: run history and MLflow know things about them that the job itself does not show."""

from pathlib import Path
from typing import Any

from azure.ai.ml import command, dsl
from azure.ai.ml.entities import PipelineJob

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import SubmittedJob
from tests.cloud.conftest import client
from tests.cloud.local_azure import LocalAzure, until

LOGS = "import mlflow\nmlflow.log_metric('auc', 0.75)"


def test_a_pipelines_steps_are_listed_with_their_metrics_and_errors(
    azure: LocalAzure, dev: AzureMLWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(LOGS)
    trains = command(code=str(tmp_path), command="python train.py", environment="azureml:sklearn:1", compute="cpu")
    breaks = command(command="echo no luck; exit 3", environment="azureml:sklearn:1", compute="cpu")

    def both() -> None:
        trains().name = "trains"
        breaks().name = "breaks"

    pipeline: Any = dsl.pipeline(both, experiment_name="two steps")
    job: PipelineJob = pipeline()
    submitted = str(client("dev", azure).jobs.create_or_update(job).name)

    def ended() -> SubmittedJob | None:
        found = dev.submitted_job(submitted)
        return found if found and found.status in ("Completed", "Failed", "Canceled") else None

    until(ended, "the pipeline's end")
    children = {child.node: child for child in dev.child_jobs(submitted)}
    assert {node: child.status for node, child in children.items()} == {"trains": "Completed", "breaks": "Failed"}
    assert "exited with status code 3" in children["breaks"].error
    logged = {each.run: each.metrics for each in dev.step_metrics(submitted)}
    assert logged[children["trains"].name] == {"auc": 0.75}
    assert dev.step_metrics("nobody") == []
