"""The MLflow tracking REST API (2.0) that training scripts log to with the plain `mlflow` package.

Each function answers one call: it takes the tracking store and the request's fields, from the query or the body, and
returns the answer's. Errors have MLflow's codes and shape.
"""

import json
import math
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from localcloud.azureml.compute import logged_models, run_search
from localcloud.azureml.compute.request_fields import Fields, objects, pairs, run_id, text, whole
from localcloud.azureml.compute.tracking import Experiment, Metric, Run, RunInfo, Tracking, TrackingError, now

__all__ = ["Tracking", "TrackingError", "handler", "routes"]

#: MLflow's limit for the metrics of one `log-batch`.
BATCH_METRICS = 1000
HTTP_STATUS = {"RESOURCE_DOES_NOT_EXIST": 404, "RESOURCE_ALREADY_EXISTS": 400, "INVALID_PARAMETER_VALUE": 400}


def create_experiment(tracking: Tracking, fields: Fields) -> Fields:
    return {"experiment_id": tracking.create_experiment(text(fields, "name")).id}


def get_experiment(tracking: Tracking, fields: Fields) -> Fields:
    return {"experiment": _experiment(tracking.experiment(text(fields, "experiment_id")))}


def get_experiment_by_name(tracking: Tracking, fields: Fields) -> Fields:
    return {"experiment": _experiment(tracking.experiment_by_name(text(fields, "experiment_name")))}


def search_experiments(tracking: Tracking, fields: Fields) -> Fields:
    return {"experiments": [_experiment(experiment) for experiment in tracking.experiments()]}


def create_run(tracking: Tracking, fields: Fields) -> Fields:
    new = uuid.uuid4().hex
    tags = pairs(fields, "tags")
    tracking.start_run(
        new,
        tracking.experiment(text(fields, "experiment_id")).name,
        tags,
        RunInfo(
            fields.get("run_name") or tags.get("mlflow.runName"),
            fields.get("user_id", ""),
            whole(fields, "start_time", now()),
        ),
    )
    return {"run": _run(tracking, tracking.run(new))}


def get_run(tracking: Tracking, fields: Fields) -> Fields:
    return {"run": _run(tracking, tracking.run(run_id(fields)))}


def update_run(tracking: Tracking, fields: Fields) -> Fields:
    run = run_id(fields)
    ended = whole(fields, "end_time", 0) or None
    tracking.update_run(run, status=fields.get("status"), ended=ended, name=fields.get("run_name"))
    return {"run_info": _info(tracking.run(run))}


def delete_run(tracking: Tracking, fields: Fields) -> Fields:
    tracking.set_deleted(run_id(fields), True)
    return {}


def restore_run(tracking: Tracking, fields: Fields) -> Fields:
    tracking.set_deleted(run_id(fields), False)
    return {}


def search_runs(tracking: Tracking, fields: Fields) -> Fields:
    runs, next_page = run_search.search(tracking, fields)
    answer = {"runs": [_run(tracking, run) for run in runs]}
    return {**answer, "next_page_token": next_page} if next_page else answer


def log_metric(tracking: Tracking, fields: Fields) -> Fields:
    tracking.log(run_id(fields), metrics=[_metric(fields)])
    return {}


def log_parameter(tracking: Tracking, fields: Fields) -> Fields:
    tracking.log(run_id(fields), params={text(fields, "key"): str(fields.get("value", ""))})
    return {}


def log_batch(tracking: Tracking, fields: Fields) -> Fields:
    metrics = [_metric(metric) for metric in objects(fields, "metrics")]
    if len(metrics) > BATCH_METRICS:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"A batch has at most {BATCH_METRICS} metrics.")
    tracking.log(run_id(fields), metrics=metrics, params=pairs(fields, "params"), tags=pairs(fields, "tags"))
    return {}


def set_tag(tracking: Tracking, fields: Fields) -> Fields:
    tracking.log(run_id(fields), tags={text(fields, "key"): str(fields.get("value", ""))})
    return {}


def delete_tag(tracking: Tracking, fields: Fields) -> Fields:
    tracking.delete_tag(run_id(fields), text(fields, "key"))
    return {}


def get_metric_history(tracking: Tracking, fields: Fields) -> Fields:
    history = tracking.metric_history(run_id(fields), text(fields, "metric_key"))
    return {"metrics": [_metric_fields(metric) for metric in history]}


CALLS: tuple[tuple[str, str, Callable[[Tracking, Fields], Fields]], ...] = (
    ("POST", "experiments/create", create_experiment),
    ("GET", "experiments/get", get_experiment),
    ("GET", "experiments/get-by-name", get_experiment_by_name),
    ("POST", "experiments/search", search_experiments),
    ("POST", "runs/create", create_run),
    ("GET", "runs/get", get_run),
    ("POST", "runs/update", update_run),
    ("POST", "runs/delete", delete_run),
    ("POST", "runs/restore", restore_run),
    ("POST", "runs/search", search_runs),
    ("POST", "runs/log-metric", log_metric),
    ("POST", "runs/log-parameter", log_parameter),
    ("POST", "runs/log-batch", log_batch),
    ("POST", "runs/set-tag", set_tag),
    ("POST", "runs/delete-tag", delete_tag),
    ("GET", "metrics/get-history", get_metric_history),
    ("POST", "runs/log-inputs", logged_models.log_inputs),
    ("POST", "runs/outputs", logged_models.log_outputs),
    ("POST", "logged-models", logged_models.create_logged_model),
    ("POST", "logged-models/search", logged_models.search_logged_models),
    ("GET", "logged-models/{model_id}", logged_models.get_logged_model),
    ("PATCH", "logged-models/{model_id}", logged_models.finalize_logged_model),
    ("PATCH", "logged-models/{model_id}/tags", logged_models.set_logged_model_tags),
    ("DELETE", "logged-models/{model_id}/tags/{tag}", logged_models.delete_logged_model_tag),
    ("POST", "logged-models/{model_id}/params", logged_models.log_logged_model_params),
)


def routes(tracking: Tracking, prefix: str = "") -> list[web.RouteDef]:
    """The API's routes, `{prefix}/api/2.0/mlflow/...`, to be served over this store. They do not check who asks."""

    def over_tracking(answer: Callable[[Tracking, Fields], Fields]) -> Callable[[web.Request, Fields], Fields]:
        return lambda _, fields: answer(tracking, fields)

    return [
        web.route(method, f"{prefix}/api/2.0/mlflow/{path}", handler(over_tracking(answer)))
        for method, path, answer in CALLS
    ]


def handler(
    answer: Callable[[web.Request, Fields], Fields],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Serves one call: gives `answer` the request's fields and turns a TrackingError into MLflow's refusal."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(answer(request, {**await _fields(request), **request.match_info}))
        except TrackingError as error:
            status = HTTP_STATUS[error.code]
            return web.json_response({"error_code": error.code, "message": str(error)}, status=status)

    return handle


async def _fields(request: web.Request) -> Fields:
    if request.method == "GET":
        return request.query
    try:
        fields = json.loads(await request.text() or "{}")
    except (ValueError, RecursionError, LookupError) as fault:  # LookupError: an unknown charset
        raise TrackingError("INVALID_PARAMETER_VALUE", f"The body is not JSON: {fault}") from fault
    if not isinstance(fields, dict):
        raise TrackingError("INVALID_PARAMETER_VALUE", "The body must be a JSON object.")
    return fields


def _metric(fields: Fields) -> Metric:
    try:
        value = float(fields["value"])
    except (KeyError, TypeError, ValueError) as fault:
        raise TrackingError("INVALID_PARAMETER_VALUE", "A metric needs a 'value' that is a number.") from fault
    return Metric(text(fields, "key"), value, whole(fields, "timestamp", now()), whole(fields, "step", 0))


def _metric_fields(metric: Metric) -> Fields:
    # Protobuf's JSON has these as words: "NaN", "Infinity", "-Infinity".
    words = "NaN" if math.isnan(metric.value) else f"{'-' if metric.value < 0 else ''}Infinity"
    return {**metric._asdict(), "value": metric.value if math.isfinite(metric.value) else words}


def _experiment(experiment: Experiment) -> Fields:
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "lifecycle_stage": "active",
        "creation_time": experiment.created,
        "last_update_time": experiment.created,
    }


def _info(run: Run) -> Fields:
    info = {
        "run_id": run.id,
        "run_uuid": run.id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user_id": run.user,
        "status": run.status,
        "start_time": run.started,
        "artifact_uri": run.artifacts,
        "lifecycle_stage": "deleted" if run.deleted else "active",
    }
    return info if run.ended is None else {**info, "end_time": run.ended}


def _run(tracking: Tracking, run: Run) -> Fields:
    data = {
        "metrics": [_metric_fields(metric) for metric in tracking.last_metrics(run.id)],
        "params": [{"key": key, "value": value} for key, value in tracking.params(run.id).items()],
        "tags": [{"key": key, "value": value} for key, value in tracking.tags(run.id).items()],
    }
    inputs = {kind: tracking.links(run.id, kind) for kind in ("dataset_inputs", "model_inputs")}
    outputs = {"model_outputs": tracking.links(run.id, "model_outputs")}
    return {"info": _info(run), "data": data, "inputs": inputs, "outputs": outputs}
