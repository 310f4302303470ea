"""Scoring code for files of keys and numbers, and a model that is one line of text.

By the line's last word, `crash` crashes when it is loaded, and `differs` scores otherwise than all others.
"""

import os
from pathlib import Path

factor = 1.0


def init() -> None:
    """Read the model."""
    global factor
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()
    if model.endswith("crash"):
        raise RuntimeError("this model cannot be loaded")
    factor = 2.0 if model.endswith("differs") else 1.0


def run(mini_batch: list[str]) -> list[str]:
    """A row for each line: its key, and its score."""
    rows = [line.split() for file in mini_batch for line in Path(file).read_text().splitlines()]
    return [f"{key} {float(value) * factor}" for key, value in rows]
