"""The scoring code: Azure ML's server calls `init` once and `run` for each request.

A request is `{"images": [[64 pixels from 0 to 16], …]}`; the answer `{"digits": [7, …], "probabilities": [0.99, …]}`
has one digit and its probability per image, in the same order.
"""

import json
import os
from pathlib import Path
from typing import Any

# The compute environment has these, not the one that checks the types.
import joblib  # type: ignore[import-not-found]
from azureml_inference_server_http.api.aml_response import AMLResponse  # type: ignore[import-not-found]

PIXELS = 64

model: Any = None


def init() -> None:
    """Load the model and score one blank image, so that a model that cannot score never takes a request."""
    global model
    file = model_file(Path(os.environ["AZUREML_MODEL_DIR"]))
    model = joblib.load(file)
    print(f"{file.name} holds a {type(model).__name__}")
    model.predict_proba([[0.0] * PIXELS])


def model_file(folder: Path) -> Path:
    """The model's file, wherever in the folder: a job's output is mounted in a folder of its own."""
    for file in sorted(folder.rglob("model.joblib")):
        return file
    raise FileNotFoundError(f"there is no model.joblib under {folder}")


def run(body: str) -> Any:
    """Read the digits of a request's images; a malformed request is answered with 400 and what is wrong."""
    try:
        images = images_of(json.loads(body))
    except ValueError as fault:
        return AMLResponse({"error": str(fault)}, 400, json_str=True)
    probabilities = model.predict_proba(images)
    best = probabilities.argmax(axis=1)
    return {
        "digits": [int(model.classes_[column]) for column in best],
        "probabilities": [round(float(row[column]), 4) for row, column in zip(probabilities, best, strict=True)],
    }


def images_of(request: Any) -> list[list[float]]:
    """The images of a request; ValueError when it has none or one is not 64 numbers."""
    images = request.get("images") if isinstance(request, dict) else None
    if not isinstance(images, list) or not images:
        raise ValueError('the request must be {"images": [[64 numbers], ...]} with at least one image')
    for number, image in enumerate(images, start=1):
        if not isinstance(image, list) or len(image) != PIXELS or not all(isinstance(it, int | float) for it in image):
            raise ValueError(f"image {number} is not a list of {PIXELS} numbers")
    return images
