"""A pipeline of two steps with almost no training: it counts the rows that it gets, and logs how good it is."""

import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import Input, MLClient, Output, command, dsl
    from azure.ai.ml.entities import CommandComponent, Data, Environment

EXPERIMENT = "rows-pipeline"
PREPARE = """
import sys, pathlib
from helpers.cleaning import clean
rows = pathlib.Path(sys.argv[1]).read_text().split()
pathlib.Path(sys.argv[2], "rows.txt").write_text("\\n".join(clean(rows)))
"""
CLEANING = "def clean(rows):\n    return [row for row in rows if row.isdigit()]\n"
TRAIN = """
import sys, pathlib
import mlflow
rows = pathlib.Path(sys.argv[1], "rows.txt").read_text().split()
mlflow.log_metric("auc", 1 - float(sys.argv[2]) / len(rows))
mlflow.log_metric("rows", len(rows))
pathlib.Path(sys.argv[3], "model.txt").write_text(" ".join(rows))
"""
ENVIRONMENT = Environment(image="image", conda_file={"name": "prepare", "dependencies": ["python=3.11", "pip"]})


def code_in(folder: Path) -> Path:
    """The folder, with the code of both steps in several files."""
    (folder / "helpers").mkdir(parents=True)
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "helpers" / "cleaning.py").write_text(CLEANING)
    (folder / "train.py").write_text(TRAIN)
    return folder


def register_rows(client: MLClient, folder: Path, name: str, rows: int, version: str = "3") -> None:
    """A data asset with this many rows."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.txt"
    file.write_text("header " + " ".join(map(str, range(rows))))
    client.data.create_or_update(Data(name=name, version=version, path=str(file), type="uri_file"))


def submit(dev: MLClient, code: Path, environment: str, loss: float = 1.0, experiment: str = EXPERIMENT) -> str:
    """The name of a job that runs it on `sample:3`. The first step is inline, with an environment of its own; the
    second is registered in dev."""
    prepare, train = _components(dev, code, environment)

    @dsl.pipeline(None, compute="cpu", experiment_name=experiment, tags={"promote": "true"})
    def pipeline(rows: Input, loss: float) -> dict[str, Any]:
        first = prepare(rows=rows)
        second = train(rows=first.outputs.clean, loss=loss)
        return {"model": second.outputs.model}

    job = dev.jobs.create_or_update(pipeline(Input(type="uri_file", path="azureml:sample:3"), loss))
    return str(job.name)


def _components(dev: MLClient, code: Path, environment: str) -> tuple[Any, Any]:
    """`prepare` is inline, with an environment of its own; `train` is registered in dev."""
    prepare = command(
        name="prepare",
        code=str(code),
        command="python prepare.py ${{inputs.rows}} ${{outputs.clean}}",
        environment=ENVIRONMENT,
        inputs={"rows": Input(type="uri_file")},
        outputs={"clean": Output(type="uri_folder")},
    )
    train = dev.components.create_or_update(
        CommandComponent(
            name="train_rows",
            code=str(code),
            command="python train.py ${{inputs.rows}} ${{inputs.loss}} ${{outputs.model}}",
            environment=environment,
            inputs={"rows": Input(type="uri_folder"), "loss": Input(type="number", default=1)},
            outputs={"model": Output(type="custom_model")},
        )
    )
    return prepare, train
