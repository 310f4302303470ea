"""Pipelines of a workspace and of its registry: implements the port `Pipelines`.

By REST: azure-ai-ml's operations wait for every registration in a registry, for minutes where an image is built.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from shared.cloud import azureml_authors, azureml_code, azureml_definitions, azureml_registry
from shared.cloud.azureml_components import (
    component_body,
    component_from,
    environment_body,
    environment_from,
)
from shared.cloud.azureml_connection import ConnectedWorkspace
from shared.cloud.azureml_errors import TAKEN
from shared.cloud.azureml_graph import pipeline_job_from, submission_body
from shared.cloud.azureml_rest import Rest
from shared.core import asset_names
from shared.core.approval import Author
from shared.core.asset_names import AssetPlace
from shared.ports import (
    BusyError,
    Component,
    EnvironmentAsset,
    PipelineDefinition,
    PipelineJob,
    PipelineSubmission,
    RejectedError,
)

# The API versions that azure-ai-ml 1.35 uses.
_JOBS = {"api-version": "2024-01-01-preview"}
_ASSETS = {"api-version": "2023-04-01-preview"}
_DATA_PLANE = {"api-version": "2021-10-01-dataplanepreview"}

#: Of a workspace's asset, as files of Azure ML name it.
_NAMED = re.compile(r"azureml:(?P<name>[^/:@]+)(?::(?P<version>[^/:@]+)|@latest)")


class PipelinesOfWorkspace(ConnectedWorkspace):
    """The part of a workspace that implements the port `Pipelines`."""

    # --- to read ---

    def pipeline_job(self, name: str) -> PipelineJob | None:
        with self._rest(f"read job {name}") as rest:
            found = rest.get(f"{self._id}/jobs/{quote(name, safe='')}", **_JOBS)
        return pipeline_job_from(found) if found and found.get("properties") else None

    def pipeline_definition(self, file: Path) -> PipelineDefinition:
        return azureml_definitions.read(file, self._id)

    def component(self, asset_id: str) -> Component | None:
        with self._rest(f"read component {asset_id}") as rest:
            found = self._asset(rest, asset_id)
        return component_from(found.get("properties") or {}) if found else None

    def environment_asset(self, asset_id: str) -> EnvironmentAsset | None:
        with self._rest(f"read environment {asset_id}") as rest:
            found = self._asset(rest, asset_id)
        if not found:
            return None
        place = _place(asset_id)
        asset = environment_from(asset_id, place.name, found)
        if place.registry is not None:
            return asset
        return replace(asset, origin=self._workspace_asset_id("environments", asset.name, asset.version))

    def environment_named(self, reference: str) -> EnvironmentAsset | None:
        named = _NAMED.fullmatch(reference)
        if named is None:
            raise RejectedError(
                f"{reference[:200]} names no environment: use azureml:NAME:VERSION or azureml:NAME@latest."
            )
        place = f"{self._id}/environments/{quote(named['name'], safe='')}"
        version = named["version"] or self._latest(place, named["name"])
        return self.environment_asset(f"{place}/versions/{quote(version, safe='')}") if version else None

    def _latest(self, place: str, name: str) -> str:
        with self._rest(f"read the versions of environment {name}") as rest:
            found = rest.get(place, **_ASSETS)
        return str(((found or {}).get("properties") or {}).get("latestVersion") or "")

    def has_code(self, asset_id: str) -> bool:
        with self._rest(f"look for code {asset_id}") as rest:
            return self._asset(rest, asset_id) is not None

    def code_files(self, asset_id: str) -> Mapping[str, bytes] | None:
        with self._rest(f"read code {asset_id}") as rest:
            found = self._asset(rest, asset_id)
            if found is None:
                return None
            uri = str((found.get("properties") or {}).get("codeUri") or "")
            place = _place(asset_id)
            if place.registry is None:
                return azureml_code.of_workspace(rest, self._id, self._credential, uri)
            asset = asset_id, place.name, place.version
            return azureml_code.of_registry(rest, self._registry.address, asset, uri)

    def job_authors(self, job: str) -> Sequence[Author]:
        with self._rest(f"read who ran job {job}") as rest:
            return [azureml_authors.of_job(rest, self._id, job)]

    # --- to register in the registry ---

    def registry_id(self, kind: str, name: str, version: str) -> str:
        return f"azureml://registries/{self._registry_name}/{kind}/{name}/versions/{version}"

    def start_code(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        asset = self.registry_id("codes", name, version), name, version
        with self._registering(f"code {name}") as rest:
            azureml_code.into_registry(rest, self._registry.address, asset, files)

    def start_environment(self, name: str, version: str, asset: EnvironmentAsset) -> None:
        with self._registering(f"environment {name}") as rest:
            rest.put(self._place("environments", name, version), environment_body(asset), **_DATA_PLANE)

    def start_environment_share(self, name: str, version: str, new: tuple[str, str] | None = None) -> None:
        source = self._workspace_asset_id("environments", name, version)
        with self._rest(f"share environment {name}, version {version}, to registry {self._registry_name}") as rest:
            self._registry.start_import(rest, source, *(new or (name, version)))

    def start_component(self, name: str, version: str, component: Component, tags: Mapping[str, str]) -> None:
        body = component_body(name, version, component, tags)
        with self._registering(f"component {name}") as rest:
            rest.put(self._place("components", name, version), body, **_DATA_PLANE)

    # --- to run ---

    def start_pipeline(self, submission: PipelineSubmission) -> None:
        with self._rest(f"submit job {submission.name}") as rest:
            address = f"{self._id}/jobs/{quote(submission.name, safe='')}"
            rest.put(address, submission_body(self._id, submission), **_JOBS)

    # --- how it works ---

    @contextmanager
    def _registering(self, what: str) -> Iterator[Rest]:
        """Somebody else may have registered the same name meanwhile; the next poll checks whether it is the same."""
        try:
            with self._rest(f"register {what} in registry {self._registry_name}") as rest:
                yield rest
        except RejectedError as fault:
            if TAKEN.search(str(fault)) or "immutable" in str(fault):
                raise BusyError(f"{what} was registered by somebody else meanwhile: {fault}") from fault
            raise

    def _place(self, kind: str, name: str, version: str) -> str:
        return f"{self._registry.address}/{kind}/{quote(name, safe='')}/versions/{quote(version, safe='')}"

    def _asset(self, rest: Rest, asset_id: str) -> Mapping[str, Any] | None:
        """Return the version of an asset by its id, in a workspace or any registry; None if it does not exist."""
        asset_id = asset_names.plain_id(asset_id)
        place = _place(asset_id)
        if place.registry is None:
            found: Mapping[str, Any] | None = rest.get(asset_id, **_ASSETS)
            return found
        address = self._registry_address(rest, place.registry)
        if address is None:
            return None
        return cast("Mapping[str, Any] | None", rest.get(f"{address}/{place.path}", **_DATA_PLANE))

    def _registry_address(self, rest: Rest, name: str) -> str | None:
        if name.lower() == self._registry_name.lower():
            return self._registry.address
        try:
            return azureml_registry.discover(rest, self._cloud, name).address
        except RejectedError:  # nothing has that name
            return None


def _place(asset_id: str) -> AssetPlace:
    """Parse an id before it becomes part of an address. Raises `RejectedError` for any that this port does not read."""
    found = asset_names.place(asset_id)
    if found is None or found.kind not in ("components", "codes", "environments"):
        raise RejectedError(f"{asset_id[:200]} is not the id of a component, of code or of an environment.")
    return found
