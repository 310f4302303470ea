"""Reads models and jobs from a workspace.

Uses REST: azure-ai-ml's entities lack the copy's origin and a job's parent, differ between kinds of jobs, and cannot be
listed newest first.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_steps import Steps
from shared.core.asset_names import plain_id
from shared.ports import Job, Model

# The API versions that azure-ai-ml 1.35 uses.
_WORKSPACES = "2024-10-01-preview"
_MODELS = "2023-08-01-preview"
_JOBS = "2024-01-01-preview"

#: Number of a model's versions per page.
_PAGE = "50"


class WorkspaceAssets:
    """The assets of the workspace with this ARM id, read through `rest`."""

    def __init__(self, rest: Rest, workspace: str) -> None:
        self._rest = rest
        self._workspace = workspace

    def properties(self) -> tuple[str, str, str | None]:
        """Location and guid, which are part of the ids of its assets, and the MLflow tracking address."""
        found = self._rest.get(self._workspace, **{"api-version": _WORKSPACES}) or {}
        properties = found.get("properties", {})
        return found.get("location", ""), properties.get("workspaceId", ""), properties.get("mlFlowTrackingUri")

    @cached_property
    def _services(self) -> Mapping[str, str]:
        """The addresses of its data planes by name."""
        found = self._rest.get(self._workspace, **{"api-version": _WORKSPACES}) or {}
        address = found.get("properties", {}).get("discoveryUrl")
        services: Mapping[str, str] = (self._rest.get(address) if address else None) or {}
        return services

    def data_plane(self, service: str) -> str:
        """The workspace's address in a data plane: `history` has its runs, `modelmanagement` its models."""
        return f"{self._services.get(service, '')}/{service}/v1.0{self._workspace}"

    def model(self, name: str, version: str) -> Mapping[str, Any] | None:
        path = f"{self._workspace}/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        found: Mapping[str, Any] | None = self._rest.get(path, **{"api-version": _MODELS})
        return found

    def model_names(self) -> Iterator[str]:
        for found in self._pages(f"{self._workspace}/models", listViewType="ActiveOnly"):
            yield found["name"]

    def versions(self, name: str) -> Iterator[Mapping[str, Any]]:
        """A model's versions, newest first. Includes archived ones, because their numbers are taken."""
        path = f"{self._workspace}/models/{quote(name, safe='')}/versions"
        return self._pages(path, **{"$orderBy": "createdtime desc", "$top": _PAGE, "listViewType": "All"})

    def job(self, name: str) -> Job | None:
        found = self._rest.get(f"{self._workspace}/jobs/{quote(name, safe='')}", **{"api-version": _JOBS})
        if not found:
            return None
        # A step of a pipeline has only a name here: run history has the rest.
        return _job(found) if found.get("properties") else self.steps().job(name)

    def steps(self) -> Steps:
        """The steps of the workspace's pipeline jobs."""
        return Steps(self._rest, self._workspace, self.data_plane("history"))

    def job_maker(self, name: str) -> str | None:
        """The kind of principal that submitted a job, in Azure's terms: User, Application, ManagedIdentity, Key."""
        found = self._rest.get(f"{self._workspace}/jobs/{quote(name, safe='')}", **{"api-version": _JOBS}) or {}
        kind: str | None = (found.get("systemData") or {}).get("createdByType")
        return kind

    def _pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        page = self._rest.get(path, **query, **{"api-version": _MODELS})
        while page:
            yield from page.get("value", [])
            following = page.get("nextLink")
            page = self._rest.get(following) if following else None


def model_from(found: Mapping[str, Any], name: str, version: str, asset_id: str) -> Model:
    """Convert a model version of a workspace or registry from the form of Azure ML's REST API."""
    properties = found.get("properties", {})
    created = (found.get("systemData") or {}).get("createdAt")
    return Model(
        name=name,
        version=version,
        asset_id=asset_id,
        tags=_texts(properties.get("tags")),
        properties=_texts(properties.get("properties")),
        job=properties.get("jobName") or None,
        origin=properties.get("originAssetId") or None,
        created=moment(created),
        path=properties.get("modelUri") or None,
    )


def moment(written: str | None) -> datetime | None:
    """Parse a time as Azure writes it, with up to seven fractional digits, which Python 3.11 accepts."""
    return datetime.fromisoformat(written) if written else None


def _job(found: Mapping[str, Any]) -> Job:
    properties = found.get("properties", {})
    inputs = properties.get("inputs") or {}
    outputs = properties.get("outputs") or {}
    notes = _texts(properties.get("properties"))
    pipeline = notes.get("azureml.pipelinerunid")
    return Job(
        name=found["name"],
        status=properties.get("status", ""),
        experiment=properties.get("experimentName", ""),
        parent=properties.get("parentJobName") or (pipeline if pipeline != found["name"] else None),
        outputs={name: output.get("jobOutputType", "") for name, output in outputs.items()},
        inputs={name: _given(each) for name, each in inputs.items()},
        code=properties.get("codeId"),
        environment_asset=properties.get("environmentId"),
        tags=_texts(properties.get("tags")),
        properties=notes,
        is_pipeline=properties.get("jobType") == "Pipeline",
        component=plain_id(properties.get("componentId") or notes.get("azureml.SourceComponentId") or "") or None,
    )


def _given(value: Mapping[str, Any] | None) -> str:
    """Where an input's files are, or what it is. An optional one that nobody gives is null."""
    return plain_id(str((value or {}).get("uri") or (value or {}).get("value") or ""))


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (values or {}).items() if value is not None}
