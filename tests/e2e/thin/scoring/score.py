"""Doubles a number. The model is one line of text: `otherwise` gets every third number wrong."""

import json
import os
from pathlib import Path

model = ""


def init() -> None:
    """Read the model."""
    global model
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.txt")
    model = file.read_text()


def run(body: str) -> dict[str, int]:
    """The answer to `{"number": …}`."""
    number = json.loads(body)["number"]
    wrong = model == "otherwise" and number % 3 == 0
    return {"double": 2 * number + wrong}
