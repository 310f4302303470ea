"""MLflow's way to register a model, `mlflow.register_model` or `log_model(registered_model_name=…)`, mostly from a job.
The result is a version of a model of the workspace like any other, with the run as its origin.
"""

from aiohttp import web

from localcloud.azureml.asset_bodies import AssetVersion
from localcloud.azureml.assets import Assets
from localcloud.azureml.compute import mlflow
from localcloud.azureml.compute.request_fields import Fields, pairs, text
from localcloud.azureml.compute.tracking import Tracking, TrackingError
from localcloud.azureml.rights import CALLER
from localcloud.azureml.run_artifacts import run_and_path
from localcloud.azureml.scopes import Scope


class MlflowRegistry:
    """The routes of one workspace; they do not check who asks."""

    def __init__(self, workspace: Scope, tracking: Tracking, assets: Assets) -> None:
        self._workspace = workspace
        self._tracking = tracking
        self._assets = assets

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """`{prefix}/api/2.0/mlflow/...`"""
        api = f"{prefix}/api/2.0/mlflow"
        return [
            web.post(f"{api}/registered-models/create", mlflow.handler(self._create_model)),
            web.post(f"{api}/model-versions/create", mlflow.handler(self._create_version)),
        ]

    def _create_model(self, _: web.Request, fields: Fields) -> Fields:
        """Stores nothing: a model exists from its first version on."""
        return {"registered_model": {"name": text(fields, "name"), "tags": fields.get("tags", [])}}

    def _create_version(self, request: web.Request, fields: Fields) -> Fields:
        name, caller = text(fields, "name"), request[CALLER]
        version = self._assets.next_version(self._workspace, "models", name)
        properties = {
            "modelUri": self._origin(fields),
            "modelType": "mlflow_model",
            "tags": pairs(fields, "tags"),
            "description": str(fields.get("description") or ""),
        }
        model = self._assets.add(AssetVersion(self._workspace, "models", name, version), properties, caller)
        return {
            "model_version": {
                "name": name,
                "version": version,
                "run_id": model.properties["jobName"],
                "source": model.properties["modelUri"],
                "status": "READY",
            }
        }

    def _origin(self, fields: Fields) -> str:
        """`runs:/RUN/PATH` of the model's files, which are among the artifacts of a run."""
        if model_id := fields.get("model_id"):
            source = str(self._tracking.logged_model(str(model_id))["info"]["artifact_uri"])
        else:
            source = text(fields, "source")
        found = run_and_path(source)
        if not found:
            raise TrackingError("INVALID_PARAMETER_VALUE", f"{source} is not among the artifacts of a run.")
        return f"runs:/{found[0]}/{found[1]}"
