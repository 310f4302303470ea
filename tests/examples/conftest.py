import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # The SDK's own use of marshmallow warns while it is imported.
    warnings.simplefilter("ignore")
    import azure.ai.ml  # noqa: F401 - the first import is what warns

REPOSITORY = Path(__file__).resolve().parents[2]
COMPUTE = REPOSITORY / ".venv-compute" / "bin" / "python"
DIGITS = REPOSITORY / "examples" / "digits"

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where MLflow keeps what the training jobs of these tests log: a folder per run."""
    return tmp_path_factory.mktemp("mlflow") / "runs"


@pytest.fixture(scope="session")
def train(runs: Path) -> Train:
    """Run the training job's program as the job does."""

    def train(model: Path, rows: int = 800, layout: str = "pipeline") -> subprocess.CompletedProcess[str]:
        options = ["--training-rows", str(rows), "--layout", layout, "--model", str(model)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": runs.as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
        command = [str(COMPUTE), str(DIGITS / "train" / "train.py"), *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return train


@pytest.fixture(scope="session")
def model(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as version 1 of the demo is."""
    folder = tmp_path_factory.mktemp("good") / "model"
    assert train(folder).returncode == 0
    return folder


@pytest.fixture(scope="session")
def poor_model(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as version 2 of the demo is."""
    folder = tmp_path_factory.mktemp("poor") / "model"
    assert train(folder, rows=60).returncode == 0
    return folder
