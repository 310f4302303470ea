"""Scores an MLflow model that was deployed without code, with the requests and answers of Azure ML's own script.

Request: `{"input_data": TABLE, "params": {...}}`, where TABLE is `{"columns": [...], "index": [...], "data": [[...]]}`
or a plain list. Answer: the predictions as a list. Runs in the compute's virtual environment.
"""

import json
import os
from pathlib import Path
from typing import Any

try:
    import pandas  # type: ignore[import-untyped]  # only in the environment of the compute
    from mlflow import pyfunc  # type: ignore[import-not-found]  # as above
    from mlflow.utils.proto_json_utils import (  # type: ignore[import-not-found]  # as above
        cast_df_types_according_to_schema,
    )
except ModuleNotFoundError as missing:
    raise RuntimeError(
        f"The compute's environment lacks {missing.name}, which MLflow needs to load a model by itself. "
        "Deploy this model with a code_configuration, or install the package."
    ) from missing

model: Any = None


def init() -> None:
    """Loads the model: AZUREML_MODEL_DIR holds its folder."""
    global model
    (found,) = Path(os.environ["AZUREML_MODEL_DIR"]).glob("**/MLmodel")
    model = pyfunc.load_model(str(found.parent))


def run(raw_data: str) -> Any:
    """Answers one request; a body that is not of the form above is refused with what is expected."""
    request = json.loads(raw_data)
    if not isinstance(request, dict) or "input_data" not in request:
        raise ValueError('The body must be an object with the key "input_data".')
    predictions = model.predict(_typed(_table(request["input_data"])), params=request.get("params"))
    if isinstance(predictions, pandas.DataFrame):
        return predictions.to_dict(orient="records")
    return predictions.tolist() if hasattr(predictions, "tolist") else predictions


def _typed(table: Any) -> Any:
    """With the types of the model's signature, if it has one, as in MLflow's own scoring server: JSON may write 3.0 as
    3, and MLflow does not accept an integer as a double."""
    schema = model.metadata.get_input_schema()
    return cast_df_types_according_to_schema(table, schema) if schema else table


def _table(data: Any) -> Any:
    if isinstance(data, dict) and "data" in data:
        return pandas.DataFrame(data["data"], index=data.get("index"), columns=data.get("columns"))
    return pandas.DataFrame(data)
