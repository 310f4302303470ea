"""Batch endpoints of a workspace, their deployments, and their invocations."""

import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core import PipelineClient
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse

from shared.cloud import azureml_batch_files, azureml_files
from shared.cloud.azureml_connection import ConnectedWorkspace
from shared.cloud.azureml_endpoints import settings_from
from shared.cloud.azureml_rest import CONNECTION_TIMEOUT, READ_TIMEOUT, Rest
from shared.cloud.azureml_sdk import importing
from shared.ports import (
    Answer,
    Cluster,
    Deployment,
    DeploymentFile,
    Endpoint,
    EndpointFile,
    EndpointKind,
    Invocation,
    RejectedError,
    SubmittedJob,
    UnavailableError,
)

#: The version that azure-ai-ml 1.35 writes both with.
_BATCH = {"api-version": "2023-10-01"}
_COMPUTES = {"api-version": "2023-08-01-preview"}
#: Azure ML's names of a data asset's types, where an endpoint is invoked.
_INPUT_TYPES = {"uri_file": "UriFile", "uri_folder": "UriFolder", "mltable": "MLTable"}
_DATASTORE = "workspaceblobstore"
#: What is written back of an endpoint that is read, changed and written.
_KEPT = ("authMode", "description", "properties")
_KEPT_OF_IDENTITY = ("type", "userAssignedIdentities")


class InvocationsOfWorkspace(ConnectedWorkspace):
    """The part of a workspace that implements the port `BatchInvocations`."""

    @abstractmethod
    def submitted_job(self, name: str) -> SubmittedJob | None: ...

    def cluster(self, name: str) -> Cluster | None:
        with self._rest(f"read compute {name}") as rest:
            found = rest.get(f"{self._id}/computes/{quote(name, safe='')}", **_COMPUTES)
        properties = ((found or {}).get("properties") or {}).get("properties") or {}
        most = (properties.get("scaleSettings") or {}).get("maxNodeCount")
        if not properties.get("vmSize"):
            return None
        return Cluster(
            str(properties["vmSize"]),
            most if isinstance(most, int) else None,
            str(properties.get("vmPriority") or "").casefold() == "lowpriority",
        )

    def start_invocation(self, endpoint: str, deployment: str, invocation: Invocation) -> SubmittedJob:
        """Raises `RejectedError` if Azure ML gives the job another name: it could not be found again."""
        what = f"invoke deployment {deployment} of batch endpoint {endpoint}"
        with self._rest(what) as rest:
            found = rest.get(_address(self._id, endpoint), **_BATCH)
            address = ((found or {}).get("properties") or {}).get("scoringUri")
            if not address:
                raise RejectedError(f"Batch endpoint {endpoint} cannot be invoked: it does not exist or is not ready.")
            scope = f"{self._cloud.aml_resource_id.rstrip('/')}/.default"
            headers = {
                "Authorization": f"Bearer {self._credential.get_token(scope).token}",
                "azureml-model-deployment": deployment,
                # The same for the same invocation, so that Azure ML knows a request that is sent again.
                "repeatability-request-id": str(uuid.uuid5(uuid.NAMESPACE_URL, invocation.name)),
            }
            name = _posted(address, headers, _body(invocation)).get("name")
        if name != invocation.name:
            raise RejectedError(
                f"Azure ML named the job of an invocation {name}, not {invocation.name} as it was asked to, so the job "
                "cannot be followed. Cancel it."
            )
        job = self.submitted_job(invocation.name)
        if job is None:
            raise UnavailableError(f"Azure ML accepted job {invocation.name}, but does not show it yet.")
        return job

    def written(self, path: str, most: int) -> bytes | None:
        with (
            self._rest(f"read {path} in datastore {_DATASTORE}") as rest,
            azureml_files.container_of(rest, self._id, self._credential, _DATASTORE) as container,
        ):
            if container is None:
                raise RejectedError(f"Datastore {_DATASTORE} is not in a blob container, so {path} cannot be read.")
            try:
                content: bytes = container.download_blob(path, offset=0, length=most).readall()
            except ResourceNotFoundError:
                return None
            except HttpResponseError as fault:
                if fault.status_code == 416:  # no byte to read
                    return b""
                raise
            return content


class BatchEndpointsOfWorkspace(ConnectedWorkspace):
    """A workspace's batch endpoints, in place of its online endpoints. Their default has all of the traffic."""

    def endpoint(self, name: str) -> Endpoint | None:
        with self._rest(f"read batch endpoint {name}") as rest:
            found = rest.get(_address(self._id, name), **_BATCH)
        return _endpoint_from(found, *self._why_broken(found)) if found else None

    def endpoint_file(self, file: Path) -> EndpointFile:
        return azureml_batch_files.described_endpoint(file)

    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None:
        with importing():
            from azure.ai.ml.entities import BatchEndpoint

        made = azureml_batch_files.load_endpoint(file, name) if file else BatchEndpoint(name=name)
        made.tags = {**(made.tags or {}), **tags}
        with self._client(f"create batch endpoint {name}") as client:
            client.batch_endpoints.begin_create_or_update(made)

    def start_endpoint_change(self, name: str, file: Path) -> None:
        wanted = azureml_batch_files.described_endpoint(file).settings
        changes = {"description": wanted.description} if wanted.description is not None else {}
        with self._rest(f"change the settings of batch endpoint {name}") as rest:
            self._change(rest, name, changes, wanted.tags)

    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        given = {name: share for name, share in traffic.items() if share}
        if mirror or len(given) > 1 or any(share != 100 for share in given.values()):
            raise RejectedError(f"Batch endpoint {endpoint} has one default, which gets everything.")
        default = next(iter(given), None)
        with self._rest(f"set the default of batch endpoint {endpoint}") as rest:
            self._change(rest, endpoint, {"defaults": {"deploymentName": default} if default else {}}, {})

    def deployments(self, endpoint: str) -> Sequence[Deployment]:
        with self._rest(f"list the deployments of batch endpoint {endpoint}") as rest:
            found = _pages(rest, f"{_address(self._id, endpoint)}/deployments")
            return [self._with_asset_id(_deployment_from(each)) for each in found]

    def deployment(self, endpoint: str, name: str) -> Deployment | None:
        with self._rest(f"read deployment {name} of batch endpoint {endpoint}") as rest:
            found = rest.get(f"{_address(self._id, endpoint)}/deployments/{quote(name, safe='')}", **_BATCH)
        return self._with_asset_id(_deployment_from(found, *self._why_broken(found))) if found else None

    def deployment_file(self, file: Path) -> DeploymentFile:
        return azureml_batch_files.described(file)

    def start_deployment(
        self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str], environment: str = ""
    ) -> None:
        deployment = azureml_batch_files.load(file, endpoint, name, self._arm_id(model), environment)
        deployment.tags = {**(deployment.tags or {}), **tags}
        with self._client(f"create deployment {name} of batch endpoint {endpoint}") as client:
            client.batch_deployments.begin_create_or_update(deployment)

    def start_removal(self, endpoint: str, deployment: str) -> None:
        with self._client(f"remove deployment {deployment} of batch endpoint {endpoint}") as client:
            client.batch_deployments.begin_delete(deployment, endpoint)

    def logs(self, endpoint: str, deployment: str, lines: int) -> str:
        return ""  # nothing of it runs until it is invoked

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        raise RejectedError(f"Batch endpoint {endpoint} answers no requests: its invocations are jobs.")

    def _change(self, rest: Rest, name: str, changes: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Read the endpoint, change it, and write it back. Azure ML refuses this while another operation is running."""
        found = rest.get(_address(self._id, name), **_BATCH)
        if not found:
            raise RejectedError(f"There is no batch endpoint {name}.")
        has = found.get("properties") or {}
        kept = {key: has[key] for key in _KEPT if has.get(key) is not None}
        defaults = {key: value for key, value in (has.get("defaults") or {}).items() if value}
        identity = {key: value for key, value in (found.get("identity") or {}).items() if key in _KEPT_OF_IDENTITY}
        body = {
            "location": found.get("location"),
            "tags": {**(found.get("tags") or {}), **tags},
            "properties": {**kept, "defaults": defaults, **changes},
            **({"identity": identity} if identity else {}),
        }
        rest.put(_address(self._id, name), body, **_BATCH)


def _address(workspace: str, endpoint: str) -> str:
    return f"{workspace}/batchEndpoints/{quote(endpoint, safe='')}"


def _pages(rest: Rest, address: str) -> Iterator[Mapping[str, Any]]:
    page = rest.get(address, **_BATCH)
    while page:
        yield from page.get("value", [])
        following = page.get("nextLink")
        page = rest.get(following) if following else None


def _endpoint_from(found: Mapping[str, Any], error: str = "", unread: str = "") -> Endpoint:
    properties = found.get("properties") or {}
    default = (properties.get("defaults") or {}).get("deploymentName")
    return Endpoint(
        name=found["name"],
        state=properties.get("provisioningState") or "",
        traffic={str(default): 100} if default else {},
        tags=dict(found.get("tags") or {}),
        scoring_uri=properties.get("scoringUri"),
        error=error,
        unread=unread,
        settings=settings_from(found),
        kind=EndpointKind.BATCH,
    )


def _deployment_from(found: Mapping[str, Any], error: str = "", unread: str = "") -> Deployment:
    properties = found.get("properties") or {}
    model = properties.get("model")
    return Deployment(
        name=found["name"],
        state=properties.get("provisioningState") or "",
        tags=dict(found.get("tags") or {}),
        model=model.get("assetId") if isinstance(model, Mapping) else None,
        error=error,
        unread=unread,
        instances=(properties.get("resources") or {}).get("instanceCount"),
        environment=properties.get("environmentId"),
    )


def _body(invocation: Invocation) -> dict[str, Any]:
    kind = _INPUT_TYPES.get(invocation.type)
    if kind is None:
        raise RejectedError(f"A batch endpoint takes no data asset of type {invocation.type or 'unknown'}.")
    place = f"azureml://datastores/{_DATASTORE}/paths/{invocation.output}"
    return {
        "properties": {
            "name": invocation.name,
            "inputData": {"input": {"jobInputType": kind, "uri": invocation.asset}},
            "outputData": {"score": {"jobOutputType": "UriFile", "uri": place}},
            "properties": {"experimentName": invocation.experiment},
        }
    }


def _posted(address: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of an endpoint's own host, which takes no token of the control plane."""
    policies = [RequestIdPolicy(), UserAgentPolicy(sdk_moniker="mlpromote")]
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        address, policies=policies, connection_timeout=CONNECTION_TIMEOUT, read_timeout=READ_TIMEOUT
    )
    with client:
        response = client.send_request(HttpRequest("POST", address, headers=dict(headers), json=body))
        if response.status_code >= 400:
            raise HttpResponseError(response=response)
        found: Mapping[str, Any] = response.json()
        return found
