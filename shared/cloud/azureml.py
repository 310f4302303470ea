"""An environment's Azure ML workspace and its registry, through the SDK and REST. Implements the `Workspace` port.

Nothing here waits. A long-running operation is started and left to Azure; a later poll shows its result. Failed calls
are not retried here: the queue does that, with the pauses that Azure asks for.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport

from shared.cloud import (
    azureml_authors,
    azureml_capacity,
    azureml_events,
    azureml_files,
    azureml_registry,
    azureml_rights,
)
from shared.cloud.azureml_assets import WorkspaceAssets, model_from
from shared.cloud.azureml_batch import BatchEndpointsOfWorkspace, InvocationsOfWorkspace
from shared.cloud.azureml_errors import TAKEN, told_in_words
from shared.cloud.azureml_jobs import JobsOfWorkspace
from shared.cloud.azureml_live import LiveFiguresOfWorkspace
from shared.cloud.azureml_monitors import MonitorsOfWorkspace
from shared.cloud.azureml_online import OnlineEndpointsOfWorkspace
from shared.cloud.azureml_pipelines import PipelinesOfWorkspace
from shared.cloud.azureml_registry import Registry
from shared.cloud.azureml_rest import CONNECTION_TIMEOUT, READ_TIMEOUT, Cloud, Rest, RestConnections
from shared.cloud.azureml_runs import Runs
from shared.cloud.azureml_sdk import importing
from shared.cloud.identity import credential
from shared.core import asset_names
from shared.core.approval import Author
from shared.ports import (
    BusyError,
    Capability,
    Deployment,
    EndpointKind,
    EventSubscription,
    ForbiddenError,
    Job,
    JobOutput,
    MachineSize,
    Model,
    Quota,
    RegistryData,
    RejectedError,
    StepMetrics,
)

if TYPE_CHECKING:  # the import takes a second and 100 MB, so it must not happen while functions are indexed
    from azure.ai.ml import MLClient

_log = logging.getLogger(__name__)


class AzureMLWorkspace(
    OnlineEndpointsOfWorkspace,
    MonitorsOfWorkspace,
    JobsOfWorkspace,
    PipelinesOfWorkspace,
    LiveFiguresOfWorkspace,
    InvocationsOfWorkspace,
):
    """The workspace with the ARM id `workspace` and the registry of that name, accessed with the identity `client_id`.

    `cloud` has the addresses of a cloud other than Azure's public one (see `Cloud`). Thread-safe: each operation has
    its own connection.
    """

    def __init__(
        self, workspace: str, registry: str, client_id: str | None, cloud: Mapping[str, str] | None = None
    ) -> None:
        self._id = workspace.rstrip("/")
        self._registry_name = registry
        self._client_id = client_id
        self._cloud = Cloud(**cloud) if cloud else Cloud()

    # --- models and jobs ---

    def model(self, name: str, version: str) -> Model | None:
        with self._rest(f"read model {name}, version {version}") as rest:
            found = WorkspaceAssets(rest, self._id).model(name, version)
            return self._model(name, found) if found else None

    def has_files(self, model: Model) -> bool:
        with self._rest(f"look for the files of model {model.name}, version {model.version}") as rest:
            return azureml_files.exist(rest, self._id, self._credential, model.path)

    def model_versions(self, name: str) -> Sequence[Model]:
        with self._rest(f"list the versions of model {name}") as rest:
            return [self._model(name, found) for found in WorkspaceAssets(rest, self._id).versions(name)]

    def models_since(self, since: datetime) -> Sequence[Model]:
        found = []
        with self._rest("list the models") as rest:
            assets = WorkspaceAssets(rest, self._id)
            for name in assets.model_names():
                for each in assets.versions(name):
                    model = self._model(name, each)
                    if model.created is None or model.created < since:
                        break
                    found.append(model)
        return found

    def register_output(
        self, name: str, version: str, output: JobOutput, tags: Mapping[str, str], properties: Mapping[str, str]
    ) -> Model:
        with importing():
            from azure.ai.ml.entities import Model as ModelEntity

        entity = ModelEntity(
            name=name,
            version=version,
            path=f"azureml://jobs/{output.job.name}/outputs/{output.name}/paths/",
            type=output.type if output.type in _MODEL_TYPES else "custom_model",
            tags=dict(tags),
            properties=dict(properties),
        )
        what = f"register output {output.name} of job {output.job.name} as model {name}, version {version}"
        with self._client(what) as client:
            try:
                made = client.models.create_or_update(entity)
            except AzureError as fault:
                if TAKEN.search(str(fault)):
                    raise BusyError(f"Version {version} of model {name} was registered meanwhile.") from fault
                raise
        return Model(name, version, self._asset_id(name, version), tags, properties, made.job_name, path=made.path)

    def job(self, name: str) -> Job | None:
        with self._rest(f"read job {name}") as rest:
            return WorkspaceAssets(rest, self._id).job(name) or Runs(rest, self._properties[2]).job(name)

    def metrics(self, job: str) -> Mapping[str, float]:
        with self._rest(f"read the metrics of job {job}") as rest:
            return Runs(rest, self._properties[2]).metrics(job)

    def step_metrics(self, pipeline: str) -> Sequence[StepMetrics]:
        with self._rest(f"read the metrics of the steps of job {pipeline}") as rest:
            reused_run = WorkspaceAssets(rest, self._id).steps().reused_run
            return list(Runs(rest, self._properties[2]).of_steps(pipeline, reused_run))

    def authors(self, model: Model) -> Sequence[Author]:
        with self._rest(f"read who made model {model.name}, version {model.version}") as rest:
            return list(azureml_authors.read(rest, self._id, model))

    # --- the registry ---

    def registry_model(self, name: str, version: str) -> Model | None:
        with self._rest(f"read model {name}, version {version}, in registry {self._registry_name}") as rest:
            found = self._registry.model(rest, name, version)
            return model_from(found, name, version, self._registry.model_id(name, version)) if found else None

    def registry_models_since(self, since: datetime, wanted: Callable[[str], bool]) -> Sequence[Model]:
        made = []
        with self._rest(f"list the models of registry {self._registry_name}") as rest:
            for name in filter(wanted, self._registry.model_names(rest)):
                for found in self._registry.model_versions(rest, name):
                    model = model_from(found, name, found["name"], self._registry.model_id(name, found["name"]))
                    if model.created is None or model.created < since:
                        break
                    made.append(model)
        return made

    def start_share(self, name: str, version: str) -> None:
        with self._rest(f"share model {name}, version {version}, to registry {self._registry_name}") as rest:
            self._registry.start_import(rest, self._asset_id(name, version), name, version)

    def data_origin(self, name: str, version: str) -> str:
        return self._workspace_asset_id("data", name, version)

    def registry_data(self, name: str, version: str) -> RegistryData | None:
        with self._rest(f"read data asset {name}, version {version}, in registry {self._registry_name}") as rest:
            found = self._registry.data(rest, name, version)
        if not found:
            return None
        properties = found.get("properties") or {}
        origin, kind = properties.get("originAssetId"), properties.get("dataType")
        return RegistryData(self._registry.data_id(name, version), origin or None, str(kind or ""))

    def start_data_share(self, name: str, version: str) -> None:
        with self._rest(f"share data asset {name}, version {version}, to registry {self._registry_name}") as rest:
            self._registry.start_import(rest, self.data_origin(name, version), name, version)

    def region(self) -> str:
        region, _, _ = self._properties
        return region

    def missing_region(self) -> str | None:
        region, _, _ = self._properties
        if self._registry.reaches(region):
            return None
        self.__dict__.pop("_registry", None)  # its regions may have changed since it was read
        return None if self._registry.reaches(region) else region

    # --- what the subscription may still use in the workspace's region ---

    def machine_size(self, name: str) -> MachineSize | None:
        with self._rest("read the sizes of virtual machines") as rest:
            return azureml_capacity.size(rest, self._id, self._properties[0], name)

    def quotas(self) -> Sequence[Quota]:
        with self._rest("read the quotas of its subscription") as rest:
            return list(azureml_capacity.quotas(rest, self._id, self._properties[0]))

    # --- rights and events ---

    def event_subscriptions(self) -> Sequence[EventSubscription]:
        with self._rest("list its event subscriptions") as rest:
            return azureml_events.subscriptions(rest, self._id)

    def missing_rights(self, capability: Capability) -> Sequence[str] | None:
        scope = self._registry.scope if capability is Capability.SHARE else self._id
        try:
            with self._rest("read its rights") as rest:
                return azureml_rights.missing(rest, scope, azureml_rights.ACTIONS[capability])
        except ForbiddenError:
            return None

    # --- endpoints and deployments ---

    def with_endpoints(self, kind: EndpointKind) -> "AzureMLWorkspace":
        return self._with_batch_endpoints if kind is EndpointKind.BATCH else self

    # --- connections ---

    @property
    def _who(self) -> str:
        identity = f"Identity {self._client_id}" if self._client_id else "The system-assigned identity"
        return f"{identity} in workspace {self._id.rsplit('/', 1)[1]}"

    @property
    def _credential(self) -> Any:
        return credential(self._client_id)

    @contextmanager
    def _rest(self, what: str) -> Iterator[Rest]:
        with told_in_words(self._who, what), self._connections.connected() as connection:
            yield connection

    @contextmanager
    def _client(self, what: str) -> Iterator["MLClient"]:
        """A client for one operation, which closes its connections. A `begin_…` call ends the block as soon as Azure
        has accepted the operation, before the SDK starts a thread that polls it and prints dots."""
        with importing():
            from azure.ai.ml import MLClient

        parts = self._id.split("/")
        with told_in_words(self._who, what), suppress(_TakenOnError), _transport() as transport:
            yield MLClient(
                self._credential,
                subscription_id=parts[2],
                resource_group_name=parts[4],
                workspace_name=parts[8],
                show_progress=False,
                enable_telemetry=False,
                transport=transport,
                raw_response_hook=_leave_to_azure,
                retry_total=0,
                **self._cloud.client_arguments(),
            )

    # --- what does not change while the app runs ---

    @cached_property
    def _connections(self) -> RestConnections:
        return RestConnections(self._credential, self._cloud)

    @cached_property
    def _with_batch_endpoints(self) -> "AzureMLWorkspace":
        return _WithBatchEndpoints(self)

    @cached_property
    def _properties(self) -> tuple[str, str, str | None]:
        with self._rest("read its properties") as rest:
            return WorkspaceAssets(rest, self._id).properties()

    @cached_property
    def _registry(self) -> Registry:
        with self._rest(f"find registry {self._registry_name}") as rest:
            return azureml_registry.discover(rest, self._cloud, self._registry_name)

    def _asset_id(self, name: str, version: str) -> str:
        return self._workspace_asset_id("models", name, version)

    def _workspace_asset_id(self, kind: str, name: str, version: str) -> str:
        location, guid, _ = self._properties
        return f"azureml://locations/{location}/workspaces/{guid}/{kind}/{name}/versions/{version}"

    def _arm_id(self, asset_id: str) -> str:
        """The id of a model of this workspace by which deployments and jobs refer to it; any other id unchanged."""
        if asset_names.is_of_registry(asset_id):  # without asking which workspace this is
            return asset_id
        own = self._asset_id("", "").partition("models/")[0]
        is_own = asset_id.casefold().startswith(own.casefold())
        return f"azureml:{self._id}/{asset_id[len(own) :]}" if is_own else asset_id

    def _with_asset_id(self, deployment: Deployment) -> Deployment:
        """With the id of its model as `Model` has it."""
        model = asset_names.plain_id(deployment.model or "")
        named = asset_names.read(model)
        if named is None or not model.casefold().startswith(f"{self._id}/".casefold()):
            return deployment
        return replace(deployment, model=self._asset_id(named.name, named.version))

    def _model(self, name: str, found: Mapping[str, Any]) -> Model:
        version = found["name"]
        return model_from(found, name, version, self._asset_id(name, version))

    def _why_broken(self, found: Mapping[str, Any]) -> tuple[str, str]:
        """Of an endpoint or a deployment, as in `_operation_error`; empty where it is not broken."""
        properties = found.get("properties") or {}
        if properties.get("provisioningState") not in _BROKEN:
            return "", ""
        return self._operation_error(properties.get("properties") or {})

    def _operation_error(self, properties: Mapping[str, str]) -> tuple[str, str]:
        """The error of the last operation on a resource, as `code: message`, or an empty text and why it cannot be
        read. Operations belong to the subscription, which a role on the workspace alone does not cover."""
        address = properties.get("AzureAsyncOperationUri")
        if not address:
            return "", "The resource does not name its last operation."
        try:
            with self._rest("read why it failed") as rest:
                error = (rest.get(address) or {}).get("error") or {}
        except (ForbiddenError, RejectedError) as fault:
            _log.warning("%s", fault)
            return "", str(fault)
        told = f"{error.get('code', '')}: {error.get('message', '')}".strip(": ")
        return told, "" if told else "Azure no longer has its last operation, or the operation has no error."


class _WithBatchEndpoints(BatchEndpointsOfWorkspace, AzureMLWorkspace):
    """The same workspace, with its batch endpoints in place of its online endpoints."""

    def __init__(self, online: AzureMLWorkspace) -> None:
        self.__dict__ = {**online.__dict__}
        self._online = online

    def with_endpoints(self, kind: EndpointKind) -> AzureMLWorkspace:
        return self if kind is EndpointKind.BATCH else self._online


_BROKEN = ("Failed", "Canceled")
_MODEL_TYPES = ("custom_model", "mlflow_model", "triton_model")


class _TakenOnError(Exception):
    """Not an error: leaves the SDK once Azure has accepted a long-running operation."""


def _leave_to_azure(response: Any) -> None:
    answer = response.http_response
    begun = "Azure-AsyncOperation" in answer.headers or (answer.status_code == 202 and "Location" in answer.headers)
    if begun and answer.status_code < 300 and response.http_request.method in ("PUT", "DELETE"):
        raise _TakenOnError


def _transport() -> AbstractContextManager[RequestsTransport]:
    return RequestsTransport(  # type: ignore[no-any-return]  # azure-core leaves its lazy export untyped
        connection_timeout=CONNECTION_TIMEOUT, read_timeout=READ_TIMEOUT
    )
