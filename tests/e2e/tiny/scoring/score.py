"""Scoring code for a model that is one line of text: its answer is that line. `crash` crashes, `slow` starts slowly."""

import os
import time
from pathlib import Path

SLOW_SECONDS = 3

model = ""


def init() -> None:
    """Read the model."""
    global model
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()
    if model == "crash":
        raise RuntimeError("this model cannot be loaded")
    if model == "slow":
        time.sleep(SLOW_SECONDS)


def run(body: str) -> dict[str, str]:
    """The model, whatever the question."""
    return {"model": model}
