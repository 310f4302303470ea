"""The evaluation: tests the candidate and, if there is one, the champion on the same images, and logs the results.

It decides nothing: the gates of promotion.yml do.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The compute environment has these, not the one that checks the types.
import joblib  # type: ignore[import-not-found]
import mlflow  # type: ignore[import-not-found]
import numpy  # type: ignore[import-not-found]
from sklearn.metrics import accuracy_score, log_loss  # type: ignore[import-not-found]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Evaluate a digits model and the champion.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate")
    parser.add_argument("--champion", type=Path, help="folder of the model that serves now")
    parser.add_argument("--images", type=Path, required=True, help="folder with images.csv")
    parsed = parser.parse_args(arguments)

    rows = numpy.loadtxt(parsed.images / "images.csv", delimiter=",", ndmin=2)
    metrics = measured(parsed.model, rows)
    if parsed.champion is not None:
        metrics |= {f"champion.{name}": value for name, value in measured(parsed.champion, rows).items()}
    mlflow.log_metrics(metrics)
    print(f"on {len(rows)} images:", *(f"{name} {value:.4f}" for name, value in metrics.items()))


def measured(folder: Path, rows: Any) -> dict[str, float]:
    """Return how well the model in a folder reads the images."""
    model = joblib.load(next(folder.rglob("model.joblib")))
    digits, pixels = rows[:, 0].astype(int), rows[:, 1:]
    return {
        "accuracy": float(accuracy_score(digits, model.predict(pixels))),
        "log_loss": float(log_loss(digits, model.predict_proba(pixels), labels=model.classes_)),
    }


if __name__ == "__main__":
    main()
