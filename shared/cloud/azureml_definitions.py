"""Pipelines in local files: Azure ML's own YAML, with the components, code and environments that it names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shared.cloud.azureml_code import MOST_BYTES, MOST_FILES
from shared.cloud.azureml_components import component_from
from shared.cloud.azureml_errors import brief
from shared.cloud.azureml_graph import pipeline_job_from
from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_uploads import local_files
from shared.core.asset_names import plain_id
from shared.ports import Component, EnvironmentAsset, PipelineDefinition, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import PipelineJob


def read(file: Path, workspace: str) -> PipelineDefinition:
    """The pipeline in the file; short names of environments are assets of the workspace with this ARM id.

    Raises `RejectedError` where the file, or one that it names, is missing or wrong.
    """
    job = _load(file)
    found = _Components(file, workspace)
    for name, node in job.jobs.items():
        local = getattr(node, "_component", None)
        if getattr(node, "type", "") != "command" or local is None:
            continue  # of another type, which is told by its name
        if isinstance(local, str):
            continue  # an id
        key = f"file:{name}"
        found.add(key, local)
        node._component = key
    graph: dict[str, Any] = job._to_rest_object().as_dict()
    whole = pipeline_job_from({"name": file.name, **graph})
    return PipelineDefinition(whole, found.components, found.codes, found.environments)


class _Components:
    """The components of one file, with the code and the environments that are described beside them."""

    def __init__(self, file: Path, workspace: str) -> None:
        self._file = file
        self._workspace = workspace
        self.components: dict[str, Component] = {}
        self.codes: dict[str, Mapping[str, bytes]] = {}
        self.environments: dict[str, EnvironmentAsset] = {}

    def add(self, key: str, local: Any) -> None:
        """Read azure-ai-ml's component `local`."""
        properties = local._to_rest_object().as_dict()["properties"]
        specification = dict(properties["componentSpec"])
        code, environment = specification.pop("code", None), specification.pop("environment", None)
        if code:
            specification["code"] = str(code)
            if "://" not in str(code) and not str(code).startswith(("azureml:", "/subscriptions/")):
                specification["code"] = f"{key}/code"
                place = Path(str(local.base_path), str(code)).resolve()
                self.codes[specification["code"]] = _files(self._file, place)
        if isinstance(environment, Mapping):
            asset = _described(f"{key}/environment", environment)
            self.environments[asset.asset_id] = asset
            specification["environment"] = asset.asset_id
        elif environment:
            specification["environment"] = _asset_id(str(environment), self._workspace)
        self.components[key] = component_from({"componentSpec": specification})


def _load(file: Path) -> "PipelineJob":
    with importing():
        from azure.ai.ml import load_job
        from azure.ai.ml.entities import PipelineJob
        from azure.ai.ml.exceptions import MlException
    from marshmallow import ValidationError

    try:
        job = load_job(file)
    except (MlException, ValidationError, yaml.YAMLError) as fault:
        raise RejectedError(f"The pipeline {file.name} cannot be used: {brief(str(fault))}") from fault
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        # What the SDK raises for content of the wrong shape is not documented: this is what it was seen to raise.
        raise RejectedError(f"The pipeline {file.name} cannot be read: {brief(str(fault))}") from fault
    if not isinstance(job, PipelineJob):
        raise RejectedError(f"{file.name} does not describe a pipeline: it needs `type: pipeline`.")
    return job


def _described(key: str, environment: Mapping[str, Any]) -> EnvironmentAsset:
    conda = environment.get("conda_file")
    build = environment.get("build") or {}
    return EnvironmentAsset(
        asset_id=key,
        name=str(environment.get("name") or ""),
        version=str(environment.get("version") or ""),
        image=str(environment.get("image") or ""),
        conda=yaml.safe_dump(conda) if isinstance(conda, Mapping) else str(conda or ""),
        build=str(build.get("path") or "") if isinstance(build, Mapping) else str(build),
        is_anonymous=True,
    )


def _asset_id(reference: str, workspace: str) -> str:
    """Return the id of an environment asset; `azureml:NAME:VERSION` is an asset of the workspace."""
    plain = plain_id(reference)
    name, colon, version = plain.removeprefix("azureml:").partition(":")
    return plain if "/" in plain or not colon else f"{workspace}/environments/{name}/versions/{version}"


def _files(named_in: Path, place: Path) -> dict[str, bytes]:
    """Return the files that azure-ai-ml would upload from the place."""
    folder = place if place.is_dir() else place.parent
    found: dict[str, bytes] = {}
    for each in local_files(named_in, place):
        found[each.resolve().relative_to(folder.resolve()).as_posix()] = each.read_bytes()
        if len(found) > MOST_FILES or sum(map(len, found.values())) > MOST_BYTES:
            raise RejectedError(f"The folder {place.name}, which {named_in.name} names, is too large to copy.")
    return found
