"""The training job: learns to read handwritten digits, logs how well it does, and writes the model folder.

The data set ships with scikit-learn: 1,797 images of 8 × 8 pixels, each pixel a number from 0 (paper) to 16 (ink).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The compute environment has these, not the one that checks the types.
import joblib  # type: ignore[import-not-found]
import mlflow  # type: ignore[import-not-found]
from sklearn.datasets import load_digits  # type: ignore[import-not-found]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-not-found]
from sklearn.metrics import accuracy_score, roc_auc_score  # type: ignore[import-not-found]
from sklearn.model_selection import train_test_split  # type: ignore[import-not-found]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-not-found]
from sklearn.preprocessing import MinMaxScaler  # type: ignore[import-not-found]

#: Held out in every job and never trained on, so that the metrics of two jobs can be compared.
TEST_ROWS = 597
#: With fewer, a digit may be missing from the training images.
FEWEST_ROWS = 40


def split() -> tuple[Any, Any, Any, Any]:
    """Images to train with, images held out, and the digits of both: the same in every job."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images, digits, test_size=TEST_ROWS, random_state=0, stratify=digits)
    return parts[0], parts[1], parts[2], parts[3]


def train(training_rows: int) -> tuple[Pipeline, dict[str, float]]:
    """A pipeline fitted on the first `training_rows` images, and its metrics on the held-out ones."""
    images, test_images, digits, test_digits = split()
    if not FEWEST_ROWS <= training_rows <= len(images):
        raise SystemExit(f"--training-rows must be from {FEWEST_ROWS} to {len(images)}, not {training_rows}")
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500))
    pipeline.fit(images[:training_rows], digits[:training_rows])
    return pipeline, {
        "accuracy": float(accuracy_score(test_digits, pipeline.predict(test_images))),
        # One digit against the others, averaged over the ten.
        "auc": float(roc_auc_score(test_digits, pipeline.predict_proba(test_images), multi_class="ovr")),
    }


def save(pipeline: Pipeline, metrics: dict[str, float], layout: str, folder: Path) -> None:
    """Write `model.joblib`: the pipeline itself, or a bundle of the pipeline and its metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    content = pipeline if layout == "pipeline" else {"pipeline": pipeline, "metrics": metrics}
    joblib.dump(content, folder / "model.joblib")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the digits model.")
    parser.add_argument("--training-rows", type=int, required=True, help="fewer images make a worse model")
    parser.add_argument("--layout", choices=["pipeline", "bundle"], required=True, help="what model.joblib holds")
    parser.add_argument("--model", type=Path, required=True, help="folder to write the model to")
    parsed = parser.parse_args(arguments)

    pipeline, metrics = train(parsed.training_rows)
    mlflow.log_params({"training_rows": parsed.training_rows, "layout": parsed.layout})
    mlflow.log_metrics(metrics)
    save(pipeline, metrics, parsed.layout, parsed.model)
    print(f"trained on {parsed.training_rows} images:", *(f"{name} {value:.4f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
