"""What rules and steps ask of the world: the ports, implemented in `shared/cloud` and by small fakes in `tests/`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from shared.core.approval import Author
from shared.core.journal import JournalEntry
from shared.core.messages import AwaitedJob, Command, LaneKey, News, Report
from shared.core.promotion import Lane, Promotion, PromotionStatus

# --- Azure ML: what an environment's worker can see and do ------------------------------------------------------------


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
    traffic: Mapping[str, int]
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
    REGISTER = "register the output of jobs"
    SHARE = "share models to the registry"


class Workspace(Protocol):
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


# --- approvals that an environment's own app takes --------------------------------------------------------------------


@dataclass(frozen=True)
class ApprovalRequest:
    """What an environment's worker asks people to approve: kept by that environment's app."""

    promotion: str
    stage: str
    environment: str
    model: str
    version: str
    digest: str  #: of all that would be deployed, as the worker read it: what an approval is bound to
    shown: Mapping[str, Any]  #: the manifest and the gates: what people look at
    authors: tuple[str, ...]  #: object ids of those who made the model
    requester: str  #: object id of who asked for the promotion, by the coordinator's word; empty if unknown
    asked: datetime
    until: datetime


@dataclass(frozen=True)
class ApprovalDecision:
    """What one person said to one digest."""

    person: str  #: object id
    name: str
    approves: bool
    reason: str
    at: datetime


class Approvals(Protocol):
    """An environment's own record of what it asked people to approve, and of what they said."""

    def ask(self, request: ApprovalRequest) -> None:
        """Keep the request as the one of its promotion and stage; an earlier one of another digest is replaced."""

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None: ...

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        """Those whose time has not run out, in the order in which they end."""

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        """Keep the decision, and return the person's first one for this digest, which stays."""

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        """What people said to this digest, the earliest first."""


# --- queues, topic and store ------------------------------------------------------------------------------------------


class Bus(Protocol):
    """The queues. Returns once the broker has accepted; a message id that it saw before is accepted and dropped.

    Each method raises `QueueUnavailableError` within a few seconds if the broker is out of reach, and may then be
    called again with the same messages.
    """

    def check(self) -> None:
        """Raises if the broker was out of reach a moment ago; does not wait."""

    def send_events(self, events: Sequence[News]) -> None: ...
    def send_commands(self, commands: Sequence[Command]) -> None: ...

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        """From the environment's worker, through a queue that no other worker may send to."""


class Postponing(Protocol):
    """Messages that cannot be worked on now."""

    def postpone(self, queue: str, message_id: str, body: bytes, at: datetime) -> None:
        """Send a copy under this message id that is delivered from then on. Raises as `Bus` does."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that its queue has given up."""

    queue: str
    number: int  #: its sequence number, from 1: no other message of the queue ever has it
    message_id: str
    body: bytes
    reason: str  #: the broker's word for it, such as MaxDeliveryCountExceeded; empty where none was given
    description: str
    deliveries: int  #: so far; a replay of others that passes over it counts as one
    enqueued: datetime


@dataclass(frozen=True)
class DiscardedLetter:
    """A dead letter that a person has put aside for good: what it was, and whose decision it was."""

    id: str  #: `queue:sequence number`
    message_id: str
    enqueued: datetime
    gave_up: str  #: why its queue gave it up, in words
    content: str  #: of its body, as `encoding` says
    encoding: str  #: `utf-8` or `base64`
    size: int  #: of its body in bytes; more than `content` holds only where a message is beyond what is kept
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class DiscardedPage:
    """Some discarded letters, the last that was sent first; `following` as in `Page`."""

    letters: Sequence[DiscardedLetter]
    following: str | None


class DiscardedLetters(Protocol):
    """The journal of what people have put aside."""

    def keep(self, letter: DiscardedLetter) -> None:
        """Of the same letter again, the last decision is kept."""

    def page(self, most: int, following: str | None) -> DiscardedPage:
        """Raises ValueError where `following` is none of ours."""


class QueueUnavailableError(Exception):
    """The broker does not let us at the queue; the text is a sentence for people.

    `retry_after`: in how many seconds to ask again, where it may be there again by then.
    """

    def __init__(self, says: str, retry_after: float | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class DeadLetters(Protocol):
    """What the queues gave up. Each method raises `QueueUnavailableError`."""

    def check_sending(self, queue: str) -> None:
        """Raises if messages may not be sent to the queue, as moving back does; sends none."""

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        """Those from the number `start` on, in order, without taking them: at most so many; none only at the end."""

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Give these to their queue again, under new message ids; the numbers of those that went.

        The others are gone, in the hands of somebody else, or their turn did not come within `seconds`. A message is
        never lost, and goes twice only if this dies on it and is asked again after the time of duplicate detection.
        """

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Take these away for good; the numbers of those that went. The others as with `move_back`."""


class Topic(Protocol):
    """Whoever wants to know what becomes of promotions subscribes here."""

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        """Tell of these changes, all of promotions in `lane`. Takes a few seconds at most; trouble raises nothing.

        False where something may still wait to be told, and would be lost with this process.
        """

    def check(self) -> None:
        """Connect, and publish nothing. Raises `TopicUnavailableError`."""


class TopicUnavailableError(Exception):
    """The topic is out of reach; the text is a sentence for people."""


@dataclass(frozen=True)
class Publishing:
    """How it went when changes were last published, by any process of the app."""

    at: datetime
    trouble: str = ""  #: in a sentence; empty where the topic took them


class VersionConflictError(Exception):
    """Somebody else has saved the lane since it was loaded. Load it again and decide anew."""


@dataclass(frozen=True)
class Page:
    """Some promotions, newest first, and what to pass to get those that follow; None at the end."""

    promotions: Sequence[Promotion]
    following: str | None


@dataclass(frozen=True)
class LanePage:
    """Some lanes in the order of their names, each with its promotions under way; `following` as in `Page`."""

    lanes: Sequence[Lane]
    following: str | None


@dataclass(frozen=True)
class PromotionFilter:
    """Which promotions to list; None means any."""

    route: str | None = None
    model: str | None = None
    environment: str | None = None  #: one of its stages is there
    status: PromotionStatus | None = None


class StoreUnavailableError(Exception):
    """What is kept cannot be read or written just now, such as for a full disk; the text says why. Again later."""


class Store(Protocol):
    """Lanes, promotions and journals. A save is one atomic batch."""

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        """The lane with all promotions under way, and the named one even if it has ended; and the lane's version.

        Of those that wait in line (`Promotion.in_line`), only the first `NEXT_IN_LINE` and the named one are there.
        """

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        """Save what differs. `version` is that of `before`; raises `VersionConflictError` if it is no longer.

        Raises ValueError, and saves nothing, for more changes than the store writes at once.
        """

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        """Lanes that wait for an answer which should have come by now."""

    def awaiting(self, job: AwaitedJob) -> Sequence[LaneKey]:
        """Lanes that the job's end wakes, and perhaps some that wait for it no more."""

    def watching_since(self, now: datetime) -> datetime:
        """When this was first asked: registrations from before the app was there are not its business."""

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None: ...

    def promotions(self, wanted: PromotionFilter, most: int, following: str | None) -> Page:
        """Raises ValueError where `following` is none of ours."""

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        """Lanes of routes; those of a route or model only, if named. ValueError where `following` is none of ours."""

    def publishing(self) -> Publishing | None:
        """What was kept last; None before the first time."""

    def keep_publishing(self, publishing: Publishing) -> None: ...

    def claim(self, key: str, content: str) -> str:
        """What was first kept under the key: `content`, if nothing was. Of several callers at once one is the first."""
