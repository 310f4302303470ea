import json
from pathlib import Path

import pytest

from examples.demo.digits import images
from tests.examples.conftest import DIGITS, Train
from tests.examples.scripts import Scripts


def logged(runs: Path, metric: str) -> dict[str, float]:
    """The metric's value by the number of training images; a file of MLflow's store has time, value and step."""
    return {
        (run / "params" / "training_rows").read_text(): float((run / "metrics" / metric).read_text().split()[1])
        for run in runs.glob("0/*")
        if run.is_dir()
    }


@pytest.mark.usefixtures("model")
def test_metrics_are_logged_with_mlflow(runs: Path) -> None:
    assert 0.95 < logged(runs, "accuracy")["800"] < 1
    assert 0.99 < logged(runs, "auc")["800"] <= 1


@pytest.mark.usefixtures("model", "poor_model")
def test_a_model_of_few_images_passes_the_gates_of_test_and_is_refused_beside_the_good_one(runs: Path) -> None:
    accuracy = logged(runs, "accuracy")

    assert accuracy["60"] > 0.8
    assert accuracy["60"] < accuracy["800"] - 0.01


def test_too_few_images_are_a_clear_error(train: Train, tmp_path: Path) -> None:
    ended = train(tmp_path / "model", rows=5)

    assert ended.returncode != 0
    assert "--training-rows must be from 40 to 1200, not 5" in ended.stderr


PRINTING = """
import json, sys
sys.path[0] = sys.argv[1]
import train
print(json.dumps(train.split()[0].astype(int).tolist()))
"""


def test_no_smoke_request_is_an_image_that_a_model_is_trained_with(
    scripts: Scripts, runs: Path, tmp_path: Path
) -> None:
    program = tmp_path / "printing.py"
    program.write_text(PRINTING)
    ended = scripts.run(program, DIGITS / "train", runs=runs)
    assert ended.returncode == 0, ended.stderr
    trained_with = {tuple(image) for image in json.loads(ended.stdout)}

    assert len(trained_with) > 1000
    assert not trained_with & {tuple(image) for image in images().values()}
