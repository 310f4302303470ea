from pathlib import Path

from tests.examples.conftest import Train


def logged(runs: Path, model: Path, metric: str) -> float:
    """The value that MLflow's file store has: a line of time, value and step."""
    run = (model / "trained_by.txt").read_text()
    (file,) = runs.glob(f"*/{run}/metrics/{metric}")
    return float(file.read_text().split()[1])


def test_metrics_are_logged_with_mlflow_under_the_job_that_the_model_names(runs: Path, model: Path) -> None:
    assert 0.95 < logged(runs, model, "accuracy") < 1
    assert 0.99 < logged(runs, model, "auc") <= 1


def test_a_model_of_few_images_passes_the_gates_of_test_and_is_refused_beside_the_good_one(
    runs: Path, model: Path, poor_model: Path
) -> None:
    assert logged(runs, poor_model, "accuracy") > 0.8
    assert logged(runs, poor_model, "accuracy") < logged(runs, model, "accuracy") - 0.01


def test_too_few_images_are_a_clear_error(train: Train, tmp_path: Path) -> None:
    ended = train(tmp_path / "model", rows=5)

    assert ended.returncode != 0
    assert "--training-rows must be from 40 to 1200, not 5" in ended.stderr
