"""Batch deployments and batch endpoints in Azure ML's own YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_uploads import is_remote, local_files
from shared.cloud.azureml_yaml import environment_files, environment_of_workspace, mapping, usable
from shared.ports import DeploymentFile, EndpointFile, EndpointSettings, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import BatchEndpoint, ModelBatchDeployment

_KIND = "batch deployment of a model"


def load(file: Path, endpoint: str, name: str, model: str | None, environment: str = "") -> "ModelBatchDeployment":
    """The deployment that the file describes. The arguments replace the file's own values.

    Raises `RejectedError` if the file is missing or does not describe a batch deployment of a model.
    """
    with importing():
        from azure.ai.ml.entities._load_functions import load_model_batch_deployment  # public in its own module alone

    content = mapping(file, _KIND)
    if str(content.get("type") or "model").lower() != "model" or "component" in content:
        raise RejectedError(f"The deployment file {file.name} does not describe a {_KIND}.")
    ours: dict[str, Any] = {"name": name, "endpoint_name": endpoint}
    if model is not None:
        ours["model"] = model
    if environment:
        ours["environment"] = environment
    with usable(file, "deployment"):
        return load_model_batch_deployment(file, params_override=[{key: value} for key, value in ours.items()])


def described(file: Path) -> DeploymentFile:
    """What the file requests, and the local files that the deployment is made from. `RejectedError` as in `load`."""
    deployment: Any = load(file, "checked-only", "checked-only", None)
    code = deployment.code_configuration.code if deployment.code_configuration else None
    scoring = local_files(file, file.parent / str(code)) if code and not is_remote(str(code)) else ()
    content = mapping(file, _KIND)
    files = dict.fromkeys(each.resolve() for each in (file, *scoring, *environment_files(file, content)))
    resources = deployment.resources
    return DeploymentFile(
        tuple(files),
        instance_type=None,
        instances=int((resources.instance_count if resources else None) or 1),
        environment=environment_of_workspace(content),
        compute=str(deployment.compute).rsplit("/", 1)[-1].removeprefix("azureml:"),
    )


def load_endpoint(file: Path, name: str) -> "BatchEndpoint":
    """The endpoint that the file describes, under this name. Raises `RejectedError` as `load` does."""
    with importing():
        from azure.ai.ml import load_batch_endpoint

    content = mapping(file, "batch endpoint", "endpoint_file")
    if content.get("defaults"):
        raise RejectedError(f"The endpoint file {file.name} names defaults, which the app sets itself. Remove them.")
    with usable(file, "endpoint"):
        return load_batch_endpoint(file, params_override=[{"name": name}])


def described_endpoint(file: Path) -> EndpointFile:
    """What the file requests. `RejectedError` as in `load`."""
    endpoint = load_endpoint(file, "checked-only")
    return EndpointFile(
        file.resolve(),
        EndpointSettings(
            description=endpoint.description, tags=_texts(endpoint.tags), properties=_texts(endpoint.properties)
        ),
    )


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(name): str(value) for name, value in (values or {}).items()}
