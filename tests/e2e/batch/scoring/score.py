"""Scoring code for a model that is one line of text: a number that each value is multiplied by. `broken` cannot be
loaded."""

import os
from pathlib import Path

factor = 0.0


def init() -> None:
    """Read the model."""
    global factor
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    factor = float(file.read_text())


def run(mini_batch: list[str]) -> list[str]:
    """A row for each line: its key, and its value times the model."""
    rows = [line.split() for file in mini_batch for line in Path(file).read_text().splitlines()]
    return [f"{key} {float(value) * factor}" for key, value in rows]
