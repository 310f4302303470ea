"""Azure ML: what an environment's worker can see and do there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from shared.core.approval import Author
from shared.ports.jobs import Jobs


@dataclass(frozen=True)
class Model:
    """A model version in a workspace, or its copy in the registry."""

    name: str
    version: str
    asset_id: str  #: `azureml://…`: as a deployment may refer to it, and as the registry notes it for an origin
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None  #: name of the job that made it, where Azure ML knows it
    origin: str | None = None  #: of a registry's copy: the asset it was shared from
    created: datetime | None = None
    path: str | None = None  #: where its files are


def same_asset(one: str | None, other: str | None) -> bool:
    """Whether two asset ids name the same asset; Azure does not keep their case."""
    return one is not None and other is not None and one.casefold() == other.casefold()


@dataclass(frozen=True)
class Job:
    """A job, as far as its end matters; or a run that MLflow tracked outside of any job, told in the words of a job."""

    name: str
    status: str  #: Azure ML's word: Completed, Failed, Canceled, Running, …
    experiment: str
    parent: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)  #: name → type (`uri_folder`, `mlflow_model`, …)
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → path or value
    code: str | None = None
    environment_asset: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)  #: among them git's commit, where there is one
    is_run: bool = False  #: tracked from outside of Azure ML: on a laptop, in CI, on Databricks


@dataclass(frozen=True)
class Endpoint:
    """An online endpoint. `state` is Azure ML's provisioning state: Creating, Updating, Succeeded, Failed, Deleting."""

    name: str
    state: str
    traffic: Mapping[str, int]  #: per cent, by the deployments that take some
    tags: Mapping[str, str]
    scoring_uri: str | None
    error: str = ""  #: of a broken one, as in `Deployment`, and so is `unread`
    unread: str = ""


@dataclass(frozen=True)
class Deployment:
    """A deployment of an online endpoint. `state` as in `Endpoint`."""

    name: str
    state: str
    tags: Mapping[str, str]
    model: str | None
    error: str = ""  #: what Azure ML says of a failed one: `code: message`; empty where that cannot be read
    unread: str = ""  #: then why it cannot, in a sentence


@dataclass(frozen=True)
class DeploymentFile:
    """What a deployment file asks for, and the local files that a deployment is made from, itself among them."""

    files: Sequence[Path]  #: absolute, without duplicates: of code and build contexts those that would be uploaded
    instance_type: str | None
    instances: int | None  #: at most, where it scales


@dataclass(frozen=True)
class Answer:
    """What a scoring request got."""

    status: int
    body: str
    seconds: float


@dataclass(frozen=True)
class EventSubscription:
    """Where Event Grid delivers a workspace's events."""

    name: str
    state: str  #: Azure's provisioning state: Succeeded, Creating, Failed, AwaitingManualAction, …
    destination: str  #: ARM id of a function, or the address of a webhook without what follows the question mark
    event_types: tuple[str, ...] = ()  #: the only ones that it takes; all if empty


class Capability(StrEnum):
    """What steps do beside reading, each with rights of its own."""

    DEPLOY = "deploy"
    RUN = "run jobs"
    REGISTER = "register the output of jobs"
    SHARE = "share models to the registry"


class Workspace(Jobs, Protocol):
    """An environment's workspace, and the registry as that environment's identity may use it.

    No method waits for a long-running operation: `start_…` begins one, and a later poll shows how it went. A getter
    answers None for what is not there. Each raises the errors below and nothing else.
    """

    def model(self, name: str, version: str) -> Model | None: ...
    def has_files(self, model: Model) -> bool: ...  # True too where this identity cannot tell
    def model_versions(self, name: str) -> Sequence[Model]: ...
    def models_since(self, since: datetime) -> Sequence[Model]: ...
    def register_output(self, name: str, version: str, job: Job, output: str, tags: Mapping[str, str]) -> Model: ...
    def job(self, name: str) -> Job | None: ...
    def metrics(self, job: str) -> Mapping[str, float]: ...
    def authors(self, model: Model) -> Sequence[Author]: ...  # of its job first; with no id where it is unknown

    def registry_model(self, name: str, version: str) -> Model | None: ...
    def start_share(self, name: str, version: str) -> None: ...
    def missing_region(self) -> str | None: ...  # the workspace's, where the registry is not replicated to it

    def event_subscriptions(self) -> Sequence[EventSubscription]: ...
    def missing_rights(self, capability: Capability) -> Sequence[str] | None: ...  # None: it cannot tell

    def endpoint(self, name: str) -> Endpoint | None: ...
    def start_endpoint(self, name: str, tags: Mapping[str, str]) -> None: ...
    def start_traffic(self, endpoint: str, traffic: Mapping[str, int]) -> None: ...
    def deployments(self, endpoint: str) -> Sequence[Deployment]: ...
    def deployment(self, endpoint: str, name: str) -> Deployment | None: ...
    def deployment_file(self, file: Path) -> DeploymentFile: ...  # RejectedError where it cannot be used
    def start_deployment(self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str]) -> None: ...
    def start_removal(self, endpoint: str, deployment: str) -> None: ...
    def logs(self, endpoint: str, deployment: str, lines: int) -> str: ...
    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]: ...


class AzureError(Exception):
    """A call to Azure did not do what was asked; the text is a sentence for people."""


class UnavailableError(AzureError):
    """Not now: throttled, a fault of the service (5xx), or no connection. Again after the pause."""

    def __init__(self, says: str, retry_after: timedelta | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class BusyError(UnavailableError):
    """Another operation on the same resource is under way (409)."""


class ForbiddenError(AzureError):
    """The identity lacks a right (401, 403); the text names the identity's environment and the action."""


class OutOfQuotaError(AzureError):
    """The subscription has no room for it."""


class RejectedError(AzureError):
    """Azure refused what was asked (other 4xx), or a local file that is needed for it is missing or wrong."""
