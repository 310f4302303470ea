"""The scoring script: Azure ML's server calls `init` once and `run` for each request.

A request is `{"rows": [[5.1, 3.5, 1.4, 0.2], ...]}`; the answer `{"predictions": [0, ...]}` has one for each row.
"""

import json
import os
from pathlib import Path

import joblib
from azureml_inference_server_http.api.aml_response import AMLResponse

COLUMNS = 4

model = None


def init():
    """Load the model, and score one row: a model that cannot score never takes a request."""
    global model
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    file = next(iter(sorted(folder.rglob("model.joblib"))), None)
    if file is None:
        raise FileNotFoundError(f"there is no model.joblib under {folder}")
    model = joblib.load(file)
    model.predict([[0.0] * COLUMNS])


def run(body):
    """Score the rows of a request. A malformed request is answered with 400 and what is wrong."""
    try:
        rows = json.loads(body)["rows"]
        if not rows or any(len(row) != COLUMNS for row in rows):
            raise ValueError(f"rows must be a list of lists of {COLUMNS} numbers")
        rows = [[float(value) for value in row] for row in rows]
    except (ValueError, TypeError, KeyError) as fault:
        return AMLResponse({"error": f"{type(fault).__name__}: {fault}"}, 400, json_str=True)
    return {"predictions": [int(value) for value in model.predict(rows)]}
