"""MLflow 3's logged models: what `mlflow.FLAVOR.log_model` makes, beside the files that it writes.

Their files are where MLflow 2 and Azure ML have them, under their name among the run's artifacts, so that
`azureml://jobs/JOB/outputs/artifacts/paths/NAME` finds them.
"""

import re
import uuid

from localcloud.azureml.compute.request_fields import Fields, objects, pairs, run_id, text
from localcloud.azureml.compute.tracking import LoggedModel, Tracking, TrackingError, now

_NAMED = re.compile(r"name\s*=\s*['\"](?P<name>[^'\"]*)['\"]")


def create_logged_model(tracking: Tracking, fields: Fields) -> Fields:
    experiment = tracking.experiment(text(fields, "experiment_id"))
    model_id = f"m-{uuid.uuid4().hex}"
    name = str(fields.get("name") or model_id)
    if "/" in name or name in (".", ".."):
        raise TrackingError("INVALID_PARAMETER_VALUE", f"{name!r} cannot be a logged model's name: it names a folder.")
    run = str(fields.get("source_run_id") or "")
    place = tracking.run(run).artifacts if run else tracking.artifacts_of(experiment.id, model_id)
    model: LoggedModel = {
        "info": {
            "model_id": model_id,
            "experiment_id": experiment.id,
            "name": name,
            "artifact_uri": f"{place}/{name}",
            "creation_timestamp_ms": now(),
            "status": "LOGGED_MODEL_PENDING",
            "model_type": str(fields.get("model_type") or ""),
            "source_run_id": run,
            "tags": _listed(pairs(fields, "tags")),
        },
        "data": {"params": _listed(pairs(fields, "params"))},
    }
    return _kept(tracking, model)


def get_logged_model(tracking: Tracking, fields: Fields) -> Fields:
    return {"model": tracking.logged_model(text(fields, "model_id"))}


def search_logged_models(tracking: Tracking, fields: Fields) -> Fields:
    """The logged models of some experiments, newest first, on one page.

    The only condition that is understood is `name = '…'`. MLflow asks for it before it reads `runs:/RUN/PATH`.
    """
    wanted = str(fields.get("filter") or "").strip()
    named = _NAMED.fullmatch(wanted)
    if wanted and not named:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"Unsupported search condition: {wanted}")
    experiments = fields.get("experiment_ids") or []
    found = [model for model in tracking.logged_models() if model["info"]["experiment_id"] in experiments]
    return {"models": [model for model in found if not named or model["info"]["name"] == named["name"]]}


def finalize_logged_model(tracking: Tracking, fields: Fields) -> Fields:
    model = tracking.logged_model(text(fields, "model_id"))
    model["info"]["status"] = text(fields, "status")
    return _kept(tracking, model)


def set_logged_model_tags(tracking: Tracking, fields: Fields) -> Fields:
    model = tracking.logged_model(text(fields, "model_id"))
    model["info"]["tags"] = _listed({**pairs(model["info"], "tags"), **pairs(fields, "tags")})
    return _kept(tracking, model)


def delete_logged_model_tag(tracking: Tracking, fields: Fields) -> Fields:
    model = tracking.logged_model(text(fields, "model_id"))
    gone = text(fields, "tag")
    model["info"]["tags"] = [tag for tag in model["info"]["tags"] if tag["key"] != gone]
    _kept(tracking, model)
    return {}


def log_logged_model_params(tracking: Tracking, fields: Fields) -> Fields:
    model = tracking.logged_model(text(fields, "model_id"))
    model["data"]["params"] = _listed({**pairs(model["data"], "params"), **pairs(fields, "params")})
    return _kept(tracking, model)


def log_inputs(tracking: Tracking, fields: Fields) -> Fields:
    """Data sets and models that a run reads."""
    run = run_id(fields)
    tracking.link(run, "dataset_inputs", objects(fields, "datasets"))
    tracking.link(run, "model_inputs", objects(fields, "models"))
    return {}


def log_outputs(tracking: Tracking, fields: Fields) -> Fields:
    """Models that a run makes."""
    tracking.link(run_id(fields), "model_outputs", objects(fields, "models"))
    return {}


def _kept(tracking: Tracking, model: LoggedModel) -> Fields:
    model["info"]["last_updated_timestamp_ms"] = now()
    tracking.save_logged_model(model)
    return {"model": model}


def _listed(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
