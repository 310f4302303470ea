"""What a deployment is made of: finds its model, code and environment, which stand for the container's image."""

from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.assets import Assets
from localcloud.azureml.operations import OperationFailed
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: The end of most messages of Azure about a failed deployment; the error's code follows.
GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"


@dataclass(frozen=True)
class DeploymentImage:
    """Paths of files on this machine, in words, so that it can be kept and started again after a restart."""

    code: str | None
    scoring_script: str | None
    model: str | None
    model_type: str
    environment_variables: dict[str, str]


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
    reference = properties.get("model")
    if isinstance(reference, dict):  # newer API versions wrap the id
        reference = reference.get("assetId")
    if not reference:
        return None, "custom_model"
    model = _asset(assets, str(reference))
    return str(_files(assets, workspace, model)), str(model.properties.get("modelType") or "custom_model")


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
