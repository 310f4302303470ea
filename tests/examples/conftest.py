import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.scripts import REPOSITORY, Scripts

with warnings.catch_warnings():
    # The SDK's own use of marshmallow warns while it is imported.
    warnings.simplefilter("ignore")
    import azure.ai.ml  # noqa: F401 - the first import is what warns

DIGITS = REPOSITORY / "examples" / "digits"

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    with Scripts(tmp_path_factory.mktemp("scripts")) as scripts:
        yield scripts


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where MLflow keeps what the training jobs of these tests log: a folder per run."""
    return tmp_path_factory.mktemp("mlflow") / "runs"


@pytest.fixture(scope="session")
def train(scripts: Scripts, runs: Path) -> Train:
    """Run the training job's program as the job does."""

    def train(model: Path, rows: int = 800, layout: str = "pipeline") -> subprocess.CompletedProcess[str]:
        options = ["--training-rows", rows, "--layout", layout, "--model", model]
        return scripts.run(DIGITS / "train" / "train.py", *options, runs=runs)

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
