"""What a deployment is made of: finds its model, code and environment, which stand for the container's image."""

from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.assets import Assets
from localcloud.azureml.operations import OperationFailed
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json

#: The end of most messages of Azure about a failed deployment; the error's code follows.
GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"


@dataclass(frozen=True)
class DeploymentImage:
    """Paths of files on this machine, as text, so that the image can be stored and started again after a restart."""

    code: str | None
    scoring_script: str | None
    model: str | None
    model_type: str
    environment_variables: dict[str, str]


def refuse_unusable(assets: Assets, workspace: Scope, properties: Json) -> None:
    """Raises a 400 where Azure refuses a deployment at once: if its registry is out of reach, or if it has no
    environment but needs one. Only MLflow and Triton models without scoring code need none.
    """
    model, code = _model_id(properties), (properties.get("codeConfiguration") or {}).get("codeId")
    assets.refuse_out_of_reach(workspace, (model, code, properties.get("environmentId")))
    found = assets.find(model)
    needs_none = not code and found and found.properties.get("modelType") in ("mlflow_model", "triton_model")
    if (found or code) and not needs_none and not properties.get("environmentId"):
        raise AzureError(
            400,
            "BadRequest",
            "The request is invalid. An environment is required, but for models of type mlflow_model or triton_model"
            " that are deployed without scoring code.",
        )


def find_image(assets: Assets, workspace: Scope, properties: Json) -> DeploymentImage:
    """The image for a deployment's properties; `OperationFailed` when one of its assets or their files are missing."""
    environment = str(properties.get("environmentId") or "")
    if environment and not assets.is_public(environment):
        _asset(assets, environment)
    model, model_type = _model(assets, workspace, properties)
    code, script = _code(assets, workspace, properties)
    variables = properties.get("environmentVariables") or {}
    return DeploymentImage(code, script, model, model_type, {str(key): str(value) for key, value in variables.items()})


def _model(assets: Assets, workspace: Scope, properties: Json) -> tuple[str | None, str]:
    reference = _model_id(properties)
    if not reference:
        return None, "custom_model"
    model = _asset(assets, reference)
    return str(_files(assets, workspace, model)), str(model.properties.get("modelType") or "custom_model")


def _model_id(properties: Json) -> str:
    """Empty without a model."""
    reference = properties.get("model")
    if isinstance(reference, dict):  # newer API versions wrap the id
        reference = reference.get("assetId")
    return str(reference or "")


def _code(assets: Assets, workspace: Scope, properties: Json) -> tuple[str | None, str | None]:
    configuration = properties.get("codeConfiguration") or {}
    if not configuration.get("codeId"):
        return None, None
    code = _files(assets, workspace, _asset(assets, str(configuration["codeId"])))
    script = str(configuration.get("scoringScript"))
    if not (code / script).is_file():
        raise OperationFailed("BadArgument", f"There is no scoring script {script} in the code. {GUIDE}badargument")
    return str(code), script


def _asset(assets: Assets, reference: str) -> Resource:
    found = assets.find(reference)
    if found:
        return found
    words = f"Could not find asset with ID: {reference}"
    if reference.startswith("azureml://registries/"):
        raise OperationFailed("ModelRegistryError", words)
    raise OperationFailed("ResourceNotFound", f"{words}. {GUIDE}resourcenotfound")


def _files(assets: Assets, workspace: Scope, asset: Resource) -> Path:
    try:
        return assets.files(asset, workspace)
    except ValueError as error:
        raise OperationFailed("ResourceNotFound", f"{error}. {GUIDE}resourcenotfound") from error
