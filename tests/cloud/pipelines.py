"""A pipeline that trains a model in one step and measures it in another, as a data scientist submits it."""

from pathlib import Path
from typing import Any

from tests.cloud.conftest import client
from tests.cloud.local_azure import LocalAzure, until

from azure.ai.ml import Input, Output, command, dsl  # isort: skip
from azure.ai.ml.entities import Data  # isort: skip

TRAINING = """
import pathlib, sys
pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
pathlib.Path(sys.argv[1], "model.json").write_text("{}")
"""
ENDED = ("Completed", "Failed", "Canceled")
MEASURING = "import mlflow; mlflow.log_metric('auc', 0.75)"


def train_in_steps(azure: LocalAzure, folder: Path, model: str) -> str:
    """Submits it in ws-dev, from code in the folder; the name of the pipeline job. Its step `train` registers version 1
    of the model, and `measure` logs an `auc` of 0.75. It reads data asset churn-sample, version 7."""
    (folder / "train.py").write_text(TRAINING)
    (folder / "measure.py").write_text(MEASURING)
    (folder / "rows.csv").write_text("1\n")
    dev = client("dev", azure)
    rows = dev.data.create_or_update(
        Data(name="churn-sample", version="7", path=str(folder / "rows.csv"), type="uri_file")
    )
    common: dict[str, Any] = {"code": folder, "environment": "azureml:sklearn:1"}
    train = command(
        name="train_churn",
        command="python train.py ${{outputs.model}} ${{inputs.rows}} ${{inputs.depth}}",
        inputs={"rows": Input(type="uri_file"), "depth": 3},
        outputs={"model": Output(type="custom_model", name=model, version="1")},
        **common,
    )
    measure = command(
        name="measure_churn", command="python measure.py", inputs={"model": Input(type="custom_model")}, **common
    )

    @dsl.pipeline(None, compute="cpu", experiment_name="churn-pipeline")
    def pipeline(rows: Input) -> None:
        first = train(rows=rows)
        first.name = "train"
        second = measure(model=first.outputs["model"])
        second.name = "measure"

    job = pipeline(Input(type="uri_file", path=str(rows.id)))
    job.properties["mlflow.source.git.commit"] = "f00"
    return str(dev.jobs.create_or_update(job).name)


def measure_again(azure: LocalAzure, folder: Path) -> str:
    """Submits a pipeline of one step that logs an `auc` of 0.75, and waits for its end; the name of the job. Submitted
    again with the same folder, the step is not run again."""
    (folder / "measure.py").write_text(MEASURING)
    dev = client("dev", azure)
    measure = command(name="measure_again", command="python measure.py", code=folder, environment="azureml:sklearn:1")

    @dsl.pipeline(None, compute="cpu", experiment_name="again")
    def pipeline() -> None:
        step = measure()
        step.name = "measure"

    job = str(dev.jobs.create_or_update(pipeline()).name)
    workspace = azure.workspace("dev")
    until(lambda: (found := workspace.job(job)) is not None and found.status in ENDED, f"the end of {job}")
    return job
