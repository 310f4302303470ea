"""The port of Azure ML: what an environment's worker can see and do there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from shared.core.approval import Author
from shared.ports.batch import BatchInvocations, EndpointKind
from shared.ports.capacity import Capacities
from shared.ports.endpoints import EndpointFile, EndpointSettings
from shared.ports.jobs import Jobs
from shared.ports.live_figures import LiveFiguresReader
from shared.ports.monitors import Monitors
from shared.ports.pipelines import Pipelines


@dataclass(frozen=True)
class Model:
    """A model version in a workspace, or its copy in the registry."""

    name: str
    version: str
    asset_id: str  #: `azureml://…`, as deployments and the registry's record of an origin refer to it
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None  #: name of the job that made it, if Azure ML knows it
    origin: str | None = None  #: for a registry's copy: the asset it was copied from
    created: datetime | None = None
    path: str | None = None  #: where its files are


@dataclass(frozen=True)
class RegistryData:
    """A version of a data asset in the registry."""

    asset_id: str
    origin: str | None  #: the asset that it was shared from
    type: str = ""  #: uri_file, uri_folder or mltable; empty if unknown


def same_asset(one: str | None, other: str | None) -> bool:
    """Whether two asset ids name the same asset. The case is ignored, since Azure does not preserve it."""
    return one is not None and other is not None and one.casefold() == other.casefold()


@dataclass(frozen=True)
class Job:
    """What matters of a job after its end. Also describes a run that MLflow tracked outside of any job."""

    name: str
    status: str  #: Azure ML's status: Completed, Failed, Canceled, Running, …
    experiment: str
    parent: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)  #: name → type (`uri_folder`, `mlflow_model`, …)
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → path or value
    code: str | None = None
    environment_asset: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)  #: including git's commit, if there is one
    is_run: bool = False  #: tracked from outside Azure ML: a laptop, CI, Databricks
    is_pipeline: bool = False
    root: str | None = None  #: for a step: the submitted pipeline job at the top
    node: str = ""  #: for a step: its name in the pipeline
    component: str | None = None  #: id of the component that it ran; None if it has none or the id is unknown


@dataclass(frozen=True)
class JobOutput:
    """One output of a job."""

    job: Job
    name: str

    @property
    def type(self) -> str:
        return self.job.outputs[self.name]


@dataclass(frozen=True)
class StepMetrics:
    """What one step of a pipeline job logged."""

    run: str
    node: str  #: its name in the pipeline, if its run is shown under that name
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint. A batch endpoint gives all traffic to its default deployment.

    `state` is Azure ML's provisioning state: Creating, Updating, Succeeded, Failed, Deleting.
    """

    name: str
    state: str
    traffic: Mapping[str, int]  #: per cent, by deployment; only those with traffic
    tags: Mapping[str, str]
    scoring_uri: str | None
    error: str = ""  #: for a failed endpoint; this and `unread` as in `Deployment`
    unread: str = ""
    mirror: Mapping[str, int] = field(default_factory=dict)  #: per cent of the requests that are copied, by deployment
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    kind: EndpointKind = EndpointKind.ONLINE


@dataclass(frozen=True)
class Deployment:
    """A deployment of an online endpoint. `state` as in `Endpoint`."""

    name: str
    state: str
    tags: Mapping[str, str]
    model: str | None
    #: How long Azure ML waits for its answer to a request: 5 s unless the deployment file says otherwise.
    request_timeout: timedelta = timedelta(seconds=5)
    error: str = ""  #: for a failed deployment, Azure ML's `code: message`; empty if it cannot be read
    unread: str = ""  #: why the error cannot be read, in a sentence
    instance_type: str | None = None
    instances: int | None = None
    environment: str | None = None  #: id of its environment asset


@dataclass(frozen=True)
class DeploymentFile:
    """What a deployment file requests, and the local files that the deployment is made from, including itself."""

    files: Sequence[Path]  #: absolute, no duplicates; for code and build contexts, the files that would be uploaded
    instance_type: str | None
    instances: int | None  #: the maximum, if it scales
    collects: frozenset[str] = frozenset()  #: names of the collections of production data that are on
    environment: str = ""  #: `azureml:NAME:VERSION` or `azureml:NAME@latest` of a workspace; empty for any other
    compute: str = ""  #: name of the cluster that a batch deployment uses; empty for online deployments


@dataclass(frozen=True)
class Answer:
    """The answer to a scoring request."""

    status: int
    body: str
    seconds: float


@dataclass(frozen=True)
class EventSubscription:
    """An Event Grid subscription to a workspace's events."""

    name: str
    state: str  #: Azure's provisioning state: Succeeded, Creating, Failed, AwaitingManualAction, …
    destination: str  #: ARM id of a function, or the address of a webhook without its query
    event_types: tuple[str, ...] = ()  #: the types that it includes; all if empty


class Capability(StrEnum):
    """What steps do in addition to reading. Each needs its own rights."""

    DEPLOY = "deploy"
    DEPLOY_BATCH = "deploy to batch endpoints"
    INVOKE = "invoke batch endpoints"
    RUN = "run jobs"
    REGISTER = "register the output of jobs"
    SHARE = "share models to the registry"
    WATCH = "read the live figures of endpoints"
    REPLAY = "read the requests that endpoints recorded"


class Workspace(Jobs, Pipelines, LiveFiguresReader, Capacities, Monitors, BatchInvocations, Protocol):
    """An environment's workspace, and the registry as the environment's identity may use it.

    No method waits for a long-running operation: `start_…` starts one, and a later poll shows its result. A getter
    returns None for what does not exist. Methods raise only the errors below.
    """

    def model(self, name: str, version: str) -> Model | None: ...
    def has_files(self, model: Model) -> bool: ...  # also True if this identity cannot tell
    def model_versions(self, name: str) -> Sequence[Model]: ...
    def models_since(self, since: datetime) -> Sequence[Model]: ...
    def register_output(
        self, name: str, version: str, output: JobOutput, tags: Mapping[str, str], properties: Mapping[str, str]
    ) -> Model: ...  # properties never change; tags may
    def job(self, name: str) -> Job | None: ...
    def metrics(self, job: str) -> Mapping[str, float]: ...
    def step_metrics(self, pipeline: str) -> Sequence[StepMetrics]: ...  # of the runs directly below it
    def authors(self, model: Model) -> Sequence[Author]: ...  # the job's first; without an id if unknown

    def registry_model(self, name: str, version: str) -> Model | None: ...
    def registry_models_since(self, since: datetime, wanted: Callable[[str], bool]) -> Sequence[Model]: ...  # by name
    def start_share(self, name: str, version: str) -> None: ...
    def data_origin(self, name: str, version: str) -> str: ...  # id of a data asset, as the registry records it
    def registry_data(self, name: str, version: str) -> RegistryData | None: ...
    def start_data_share(self, name: str, version: str) -> None: ...
    def region(self) -> str: ...  # the workspace's
    def missing_region(self) -> str | None: ...  # the workspace's region, if the registry is not replicated to it

    def event_subscriptions(self) -> Sequence[EventSubscription]: ...
    def missing_rights(self, capability: Capability) -> Sequence[str] | None: ...  # None if it cannot tell

    def with_endpoints(self, kind: EndpointKind) -> "Workspace": ...  # the same workspace, with endpoints of that kind
    def endpoint(self, name: str) -> Endpoint | None: ...
    def endpoint_file(self, file: Path) -> EndpointFile: ...  # RejectedError if it cannot be used
    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None: ...
    def start_endpoint_change(self, name: str, file: Path) -> None: ...  # to what the file names; the rest stays
    # replaces all shares; `mirror`: one deployment at most, without live traffic, and at most half of the requests
    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None: ...
    def deployments(self, endpoint: str) -> Sequence[Deployment]: ...
    def deployment(self, endpoint: str, name: str) -> Deployment | None: ...
    def deployment_file(self, file: Path) -> DeploymentFile: ...  # RejectedError if it cannot be used
    # `model`: the id of one in the registry, or in this workspace. `environment`: replaces the file's, if not empty
    def start_deployment(
        self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str], environment: str = ""
    ) -> None: ...
    def start_removal(self, endpoint: str, deployment: str) -> None: ...
    def logs(self, endpoint: str, deployment: str, lines: int) -> str: ...
    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]: ...


class AzureError(Exception):
    """A call to Azure failed; the text is a sentence for people."""


class UnavailableError(AzureError):
    """Throttled, a fault of the service (5xx), or no connection. Try again after the pause."""

    def __init__(self, says: str, retry_after: timedelta | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class BusyError(UnavailableError):
    """Another operation on the same resource is running (409)."""


class ForbiddenError(AzureError):
    """The identity lacks a right (401, 403); the text names the identity's environment and the action."""


class OutOfQuotaError(AzureError):
    """The subscription's quota or the region's capacity is exhausted."""


class RejectedError(AzureError):
    """Azure rejected the request (other 4xx), or a local file that it needs is missing or wrong."""
