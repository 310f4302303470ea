"""Scoring code for a model that is one line of text. `slow` takes its time, and `faulty` fails for 3 % of the requests
without a question. `spoilt` fails for those that ask for it."""

import os
import time
from itertools import count
from pathlib import Path

SLOW_SECONDS = 2
#: One request in so many fails.
FAILS_EACH = 33

model = ""
asked = count(1)


def init() -> None:
    """Read the model."""
    global model
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()


def run(body: str) -> dict[str, str]:
    """The model, whatever the question."""
    live = "question" not in body
    if model == "slow" and live:
        time.sleep(SLOW_SECONDS)
    if model == "faulty" and live and next(asked) % FAILS_EACH == 0:
        raise RuntimeError("this model fails for some")
    if model == "spoilt" and "spoil" in body:
        raise RuntimeError("this model fails for what it is asked now")
    return {"model": model}
