"""Commands and events: the messages of the queues.

A command tells a worker what to do; an event says what happened.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from msgspec import Struct, field

from shared.core.live_minute import LiveMinute
from shared.core.wire import Moment, to_json

#: How long after its due time a command may still change anything: longer than queues usually lag.
MAY_ACT_FOR = timedelta(minutes=3)

#: How long after its due time a command can no longer act, so that the lane may ask again or undo the step. A change
#: that was begun just before `not_after` has ended by then: a connection and its answer take 70 s at most.
GRACE = MAY_ACT_FOR + timedelta(minutes=2)

#: Polls of a late clean-up count from here, so that its message ids never equal those of the plan's steps.
FIRST_LATE_POLL = 1000

#: The source of registrations that the timer found.
RECONCILE = "reconcile"

Evidence = Mapping[str, Any]  #: what a step saw: small JSON values, kept with the promotion


def as_evidence(seen: Any) -> Evidence:
    """A typed value as evidence, in the form that is stored and shown; `from_json` reads it."""
    evidence: Evidence = to_json(seen)
    return evidence


class LaneKey(Struct, frozen=True):
    """One model name on one route. All decisions are made per lane."""

    route: str
    model: str


class Kind(StrEnum):
    """What a candidate is."""

    MODEL = "model"  #: a registered model version, on its way through the stages
    JOB = "job"  #: a finished job whose output is to be registered as a model version
    PIPELINE = "pipeline"  #: a training pipeline, on its way to be run in the stages' own workspaces


class Candidate(Struct, frozen=True):
    """The immutable thing being promoted, and where it came from."""

    kind: Kind
    name: str  #: the model's name
    version: str  #: the model's version; for a job or a pipeline: the job's name
    environment: str  #: name of the environment it comes from
    workspace: str  #: ARM id of the workspace it comes from; the registry's id where it was registered there


class Champion(Struct, frozen=True):
    """The candidate that serves a stage's endpoint."""

    promotion: str
    candidate: Candidate
    since: Moment
    evidence: Mapping[str, Evidence]  #: by step, from when it was promoted (metrics, deployment name, …)
    bundle: str = ""  #: as in `Promotion`


# --- outcomes: how a step answers -------------------------------------------------------------------------------------


class FailureKind(StrEnum):
    """The class of an error, for people who decide what to do about it."""

    REFUSED = "refused"  #: a gate said no; nothing is broken
    REJECTED = "rejected"  #: a person said no, or nobody said yes in time
    QUOTA = "quota"
    PERMISSION = "permission"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"  #: something else has the name
    CHANGED = "changed"  #: what would be deployed differs from what was validated and approved
    CONTAINER_CRASH = "container-crash"  #: of a deployment
    JOB_FAILED = "job-failed"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    BAD_CONFIG = "bad-config"
    UNKNOWN = "unknown"  #: Azure ML knows the cause, but this identity could not read it
    BUG = "bug"

    @classmethod
    def _missing_(cls, value: object) -> "FailureKind | None":
        """Workers are upgraded before the coordinator, which may not know a kind yet."""
        return cls.UNKNOWN if isinstance(value, str) else None


class Succeeded(Struct, frozen=True, tag=True):
    """The step's effect is in place."""

    evidence: Evidence = field(default_factory=dict)
    says: str = ""  #: what people should read in the journal, in a line; empty if the evidence is enough


class Failed(Struct, frozen=True, tag=True):
    """The step will not succeed without help. `reason` is a sentence that says what happened and what to do."""

    reason: str
    kind: FailureKind
    diagnosis: str = ""  #: what helps to find the cause: the last lines of the container's log, a table of gates
    evidence: Evidence = field(default_factory=dict)


class AwaitedJob(Struct, frozen=True):
    """A job; a step can continue when it has ended."""

    workspace: str  #: ARM id
    job: str
    #: Whether the step started it: then the step's own time limit counts, and its undo cancels the job. Until the job
    #: has ended, the step's polls only read.
    is_ours: bool = False

    def is_same(self, other: "AwaitedJob | None") -> bool:
        """Whether both are the same job. The case is ignored, since Azure does not preserve it in ARM ids."""
        return other is not None and (self.workspace.lower(), self.job) == (other.workspace.lower(), other.job)


class Running(Struct, frozen=True, tag=True):
    """Azure is still working: poll again after the pause. `says` is shown meanwhile."""

    poll_again_after: timedelta
    says: str
    state: Mapping[str, Any] = field(default_factory=dict)  #: what the step keeps for its next poll
    #: The job that it waits for. News of its end cuts the pause short. While it is somebody else's job, the step's own
    #: time limit does not apply.
    awaits: AwaitedJob | None = None
    #: Whether the next poll changes nothing, whatever it finds. Then nothing has to wait for its answer.
    only_reads: bool = False


class Retry(Struct, frozen=True, tag=True):
    """Could not read or act just now (throttled, busy, unreachable). The core lengthens the pause each time."""

    after: timedelta
    reason: str


class NotRun(Struct, frozen=True, tag=True):
    """This delivery of the command did nothing. An earlier delivery may still be at work."""

    reason: str


Outcome = Succeeded | Failed | Running | Retry | NotRun


# --- commands ---------------------------------------------------------------------------------------------------------


class Expectation(Struct, frozen=True):
    """How long a step took the last times: half of them differed from `usual` by at most `spread`."""

    usual: timedelta
    spread: timedelta


class RunStep(Struct, frozen=True):
    """Run one step once and report the result. Contains everything that the worker needs."""

    lane: LaneKey
    promotion: str
    stage: str
    step: str  #: its name in the plan
    environment: str  #: whose worker runs it
    attempt: int  #: a retry raises it, so that the command is not dropped as a duplicate
    poll: int  #: raised with each poll
    not_before: Moment
    not_after: Moment  #: from then on it must not change anything, however it was delivered
    started: Moment  #: when the step began, at its first poll
    deadline: Moment
    candidate: Candidate
    settings: Mapping[str, Any]  #: the stage's settings as they were when the promotion started
    evidence: Mapping[str, Evidence]  #: by step: this stage's earlier steps, and steps whose evidence travels
    champion: Champion | None  #: what served the stage when this promotion entered it
    requester: str = ""  #: object id of the person who asked for the promotion; empty if unknown
    uses: str = ""  #: the step that the worker runs, if it differs from the name: a plan may have a step twice
    options: Mapping[str, Any] = field(default_factory=dict)  #: the step's options in the plan
    state: Mapping[str, Any] = field(default_factory=dict)  #: what the step's last poll kept for this one
    expects: Expectation | None = None  #: how long the step will take, from `started`; None if unknown
    bundle: str = ""  #: digest of the bundle with its files; empty if they are the app's own

    @property
    def runs(self) -> str:
        """The name of the step that a worker runs."""
        return self.uses or self.step

    def expired(self, now: datetime) -> bool:
        """Whether it must no longer act: by now the lane may have asked again, or may be undoing the step."""
        return now >= self.not_after

    @property
    def message_id(self) -> str:
        """The same id for every copy of a poll, so that duplicate detection drops the others."""
        return _bounded(f"{self.promotion}:{self.stage}:{self.step}:{self.attempt}:{self.poll}")


class FindRegistrations(Struct, frozen=True):
    """List the models registered in an environment's workspace since a time, in case their notifications never came; or
    those registered in the registry directly, which sends no notifications."""

    environment: str
    since: Moment
    asked: Moment
    #: Names of the tags that routes require; others are not sent. None: an older coordinator does not say.
    tags: tuple[str, ...] | None = None
    #: Patterns of the names of the models to look for in the registry. None: it looks in the workspace.
    in_registry: tuple[str, ...] | None = None

    @property
    def message_id(self) -> str:
        where = "" if self.in_registry is None else "registry:"
        return f"find-registrations:{where}{self.environment}:{self.asked:%Y%m%dT%H%M%S}"


Command = RunStep | FindRegistrations


# --- events -----------------------------------------------------------------------------------------------------------


class ModelRegistered(Struct, frozen=True):
    """A workspace, or the registry, has a new model version."""

    workspace: str  #: ARM id, or the registry's id
    name: str
    version: str
    tags: Mapping[str, str]
    source: str  #: who sent the news: `event-grid`, `RECONCILE`, a person
    received: Moment | None = None  #: when the app was notified, where traces are kept

    @property
    def message_id(self) -> str:
        return _short_id("registered", self.workspace, self.name, self.version, self.source)


class JobEnded(Struct, frozen=True):
    """A job of a workspace has ended. Not sent for the children of a pipeline job."""

    workspace: str  #: ARM id
    job: str
    experiment: str
    status: str  #: Completed, Failed or Canceled
    tags: Mapping[str, str]
    source: str
    received: Moment | None = None  #: when the app was notified, where traces are kept

    @property
    def message_id(self) -> str:
        return _short_id("job", self.workspace, self.job, self.status, self.source)


class StepReported(Struct, frozen=True):
    """A worker's answer to one `RunStep`."""

    lane: LaneKey
    promotion: str
    stage: str
    step: str
    attempt: int
    poll: int
    outcome: Outcome
    seconds: float = 0.0  #: how long the function ran
    minutes: tuple[LiveMinute, ...] = ()  #: live figures that the poll saw; they are kept apart from the lane
    #: The environment of the worker that sent it. The receiver sets it from the queue: a body can say anything.
    environment: str = ""

    def about(self, lane: object) -> str:
        """The promotion to load, which may have ended."""
        return self.promotion

    @property
    def who(self) -> str:
        return ""

    @property
    def comes_again(self) -> bool:
        """Whether its queue delivers it again if the process dies while handling it."""
        return True

    @property
    def may_be_repeated(self) -> bool:
        """Whether staleness means that it was delivered before. Not so for a late clean-up, which the lane does not
        track."""
        return self.poll < FIRST_LATE_POLL

    @property
    def message_id(self) -> str:
        """The message id. `NotRun` has its own, so that it cannot displace the answer of the delivery that did run."""
        what = "not-run" if isinstance(self.outcome, NotRun) else "reported"
        return _bounded(f"{self.promotion}:{self.stage}:{self.step}:{self.attempt}:{self.poll}:{what}")


class MonitorBreached(Struct, frozen=True):
    """A signal of a model monitor of a workspace has passed its threshold."""

    workspace: str  #: ARM id
    monitor: str
    run: str  #: of the monitor: the whole, not the step that found it
    says: str
    source: str
    received: Moment | None = None  #: when the app was notified, where traces are kept

    @property
    def message_id(self) -> str:
        return _short_id("breached", self.workspace, self.monitor, self.run, self.source)


class EndpointAlert(Struct, frozen=True):
    """An alert rule on an online endpoint has fired, or its alert is resolved."""

    workspace: str  #: ARM id
    endpoint: str
    alert: str  #: id of the alert, the same when it is resolved
    rule: str
    fired: bool
    says: str
    source: str
    received: Moment | None = None  #: when the app was notified, where traces are kept

    @property
    def message_id(self) -> str:
        condition = "fired" if self.fired else "resolved"
        return _short_id("alert", self.workspace, self.endpoint, self.alert, condition, self.source)


News = ModelRegistered | JobEnded | MonitorBreached | EndpointAlert  #: from a workspace
Report = StepReported | ModelRegistered  #: from a worker; it finds registrations while catching up
Event = News | StepReported

#: Tag values are cut to this length. The values that routes require are far shorter.
LONGEST_TAG = 2000


def relevant_tags(tags: Mapping[str, str], names: Collection[str] | None) -> dict[str, str]:
    """The tags with these names, cut to the length that matters; all tags if `names` is None."""
    return {tag: value[:LONGEST_TAG] for tag, value in tags.items() if names is None or tag in names}


#: Service Bus takes 128 characters.
LONGEST_MESSAGE_ID = 128
#: Of the id of a message that is copied: this leaves room for the copy's suffix.
_LONGEST_COPIED_ID = 100
#: Of an id that is too long, these many characters make way for a digest of it all.
_ROOM_FOR_DIGEST = 48


def _bounded(message_id: str, longest: int = LONGEST_MESSAGE_ID) -> str:
    """The id itself if it is short enough; else its beginning, for people, and a digest of it all."""
    if len(message_id) <= longest:
        return message_id
    return f"{message_id[: longest - _ROOM_FOR_DIGEST]}:{sha256(message_id.encode()).hexdigest()[:40]}"


def id_of_copy(message_id: str, suffix: str) -> str:
    """The id of a message's copy: always the same for this suffix, new to the queue, and no other message's."""
    return f"{_bounded(message_id, _LONGEST_COPIED_ID)}:{suffix}"


def _short_id(*parts: str) -> str:
    """An id within the limit, whatever the names are."""
    return f"{parts[0]}:{sha256(json.dumps(parts[1:]).encode()).hexdigest()[:40]}"
