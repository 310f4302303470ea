"""The training job: fits a model, logs how good it is, and writes it. Put your own model here.

The data set ships with scikit-learn: 150 flowers with four measures each, of three kinds.
"""

import argparse
from pathlib import Path

import joblib
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the model.")
    parser.add_argument("--model", type=Path, required=True, help="folder to write the model to")
    folder = parser.parse_args().model

    rows, kinds = load_iris(return_X_y=True)
    rows, test_rows, kinds, test_kinds = train_test_split(rows, kinds, test_size=50, random_state=0, stratify=kinds)
    model = LogisticRegression(max_iter=1000).fit(rows, kinds)
    # promotion.yml has a gate for each metric that must be good enough.
    mlflow.log_metric("accuracy", float(accuracy_score(test_kinds, model.predict(test_rows))))
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")


if __name__ == "__main__":
    main()
