"""The second step: learns to read the digits, logs how well it does on those set aside, and writes the model."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The compute environment has these, not the one that checks the types.
import joblib  # type: ignore[import-not-found]
import mlflow  # type: ignore[import-not-found]
import numpy  # type: ignore[import-not-found]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-not-found]
from sklearn.metrics import accuracy_score, recall_score  # type: ignore[import-not-found]
from sklearn.pipeline import make_pipeline  # type: ignore[import-not-found]
from sklearn.preprocessing import MinMaxScaler  # type: ignore[import-not-found]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the digits model.")
    parser.add_argument("--prepared", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--model", type=Path, required=True, help="folder to write the model to")
    parsed = parser.parse_args(arguments)

    pixels, digits = table(parsed.prepared / "train.csv")
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500))
    pipeline.fit(pixels, digits)
    test_pixels, test_digits = table(parsed.prepared / "test.csv")
    read = pipeline.predict(test_pixels)
    recalls = recall_score(test_digits, read, average=None, labels=sorted(set(test_digits)), zero_division=0)
    metrics = {
        "accuracy": float(accuracy_score(test_digits, read)),
        # How many of the digit that it reads worst it reads right.
        "worst_digit": float(min(recalls)),
    }
    mlflow.log_metrics(metrics)
    parsed.model.mkdir(parents=True, exist_ok=True)
    joblib.dump(pipeline, parsed.model / "model.joblib")
    print(f"trained on {len(digits)} images:", *(f"{name} {value:.4f}" for name, value in metrics.items()))


def table(file: Path) -> tuple[Any, Any]:
    """The pixels and the digits of a file."""
    rows = numpy.loadtxt(file, delimiter=",", ndmin=2)
    return rows[:, 1:], rows[:, 0].astype(int)


if __name__ == "__main__":
    main()
