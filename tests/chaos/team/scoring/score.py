"""Scoring code for a model that is one line of text: its answer is that line, with the edition of this code.

By the line's last word, `crash` crashes when it is loaded. Of requests without a question, `faulty` fails every second
one, `slow` takes its time, and `tires` fails all after the first ones.
"""

import os
import time
from itertools import count
from pathlib import Path

#: The harness writes another one into each bundle. Code of the edition `broken` cannot be loaded.
EDITION = "none"
SLOW_SECONDS = 0.8
TIRES_AFTER = 50

model = ""
asked = count(1)


def init() -> None:
    """Read the model."""
    global model
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()
    if model.endswith("crash") or EDITION.startswith("broken"):
        raise RuntimeError("this model cannot be loaded")


def run(body: str) -> dict[str, str]:
    """The model, whatever the question."""
    if "question" not in body:
        number = next(asked)
        if model.endswith("slow"):
            time.sleep(SLOW_SECONDS)
        if (model.endswith("faulty") and number % 2) or (model.endswith("tires") and number > TIRES_AFTER):
            raise RuntimeError("this model fails for some")
    return {"model": model, "edition": EDITION}
