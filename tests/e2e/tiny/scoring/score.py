"""Scoring code for a model that is one line of text: its answer is that line. `crash` crashes, and `waits for FILE`
starts only once there is this file."""

import os
import time
from pathlib import Path

WAITS_FOR = "waits for "

model = ""


def init() -> None:
    """Read the model."""
    global model
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()
    if model == "crash":
        raise RuntimeError("this model cannot be loaded")
    if model.startswith(WAITS_FOR):
        while not Path(model.removeprefix(WAITS_FOR)).exists():
            time.sleep(0.05)


def run(body: str) -> dict[str, str]:
    """The model, whatever the question."""
    return {"model": model}
