"""What can be observed of a local cloud and its app from outside, as values for the invariants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mlpromote.statuses import ENDED

NEVER = datetime.min.replace(tzinfo=UTC)
#: Who asks for an automatic promotion: the notification, or the timer that looks for lost ones.
BY_ITSELF = ("event-grid", "reconcile")


@dataclass(frozen=True)
class Line:
    """A line of a journal."""

    what: str
    text: str = ""
    stage: str = ""
    step: str = ""
    at: datetime = field(default=NEVER, compare=False)  #: what was published has no time


@dataclass(frozen=True)
class Step:
    """A step of a stage, as its last attempt left it."""

    name: str
    status: str = "succeeded"
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class Stage:
    """A stage of a promotion."""

    name: str
    status: str
    #: By step, of those that undo: its status.
    undoing: Mapping[str, str] = field(default_factory=dict)
    #: Deployments that a step says it has left where they are.
    left_alone: frozenset[str] = frozenset()
    #: Deployments that were there beside this promotion's own when it took the traffic.
    others: frozenset[str] = frozenset()
    replaces: str | None = None  #: the version that served when this promotion entered; None if none did
    keeps: bool = False  #: the deployment that it replaced
    #: Steps whose live figures were out of bounds.
    breached: frozenset[str] = frozenset()
    steps: tuple[Step, ...] = ()
    attempt: int = 1
    deployment: str | None = None  #: that its last attempt created, as far as it came

    @property
    def is_half_undone(self) -> bool:
        """Whether its rollback did not finish."""
        return self.status == "failed" and any(status != "succeeded" for status in self.undoing.values())


@dataclass(frozen=True)
class Promotion:
    """A promotion as the app's API shows it."""

    id: str
    route: str
    model: str
    version: str
    status: str
    requested_by: str
    stages: tuple[Stage, ...] = ()
    journal: tuple[Line, ...] = ()
    bundle: str = ""  #: digest of the one that it uses now

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)


@dataclass(frozen=True)
class Serving:
    """A stage of a lane as the app knows it, with the endpoint that it has."""

    route: str
    model: str
    stage: str
    environment: str
    endpoint: str
    promotion: str | None = None  #: of the champion; None where there is none
    version: str | None = None  #: of the champion
    is_held: bool = False


@dataclass(frozen=True)
class Deployment:
    """A deployment, by the tags that the app has put on it."""

    name: str
    version: str
    promotion: str
    stage: str


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as Azure ML shows it."""

    environment: str
    name: str
    traffic: Mapping[str, int]  #: in per cent, by deployment; those without any are left out
    deployments: tuple[Deployment, ...]
    answer: str | None  #: the version that its answer names; None where it does not answer
    edition: str | None = None  #: that of the scoring code which answered


@dataclass(frozen=True)
class Queue:
    """A queue as the broker shows it."""

    name: str
    active: int = 0
    scheduled: int = 0
    dead: frozenset[str] = frozenset()  #: ids as `GET /api/failures` has them
    bundles: frozenset[str] = frozenset()  #: digests that its messages name, dead letters too


class Answer(StrEnum):
    """How the app answered a request of a person."""

    DONE = "done"
    NOTHING = "nothing"  #: refused, or done before: nothing was done
    NONE = "none"  #: no answer, or a status of 500 and above: it may have been done or not


@dataclass(frozen=True)
class Request:
    """A request of a person."""

    what: str  #: the word in the journal for what was asked
    by: str
    reason: str  #: no other request has the same
    answer: Answer
    #: Whose journals show it, once each, if it was done; None where the answer does not say, and it is one.
    promotions: frozenset[str] | None = None
    #: Whether it may show in the journals of several promotions.
    is_about_several: bool = False


@dataclass(frozen=True)
class Told:
    """A line of a journal as the app has published it, with its number."""

    promotion: str
    number: int
    line: Line


@dataclass(frozen=True)
class Hold:
    """A time in which a hold was in force for certain."""

    scope: tuple[str, str, str]  #: route, model and stage; an empty one means any
    since: datetime  #: the app had answered that it is set
    until: datetime | None  #: somebody was about to end it, or it ended by itself; None: it is still set

    def covers(self, route: str, model: str, stage: str) -> bool:
        return all(part in ("", each) for part, each in zip(self.scope, (route, model, stage), strict=True))


@dataclass(frozen=True)
class Failure:
    """A request of a caller that failed while nothing of the harness's own doing can have been the reason."""

    endpoint: str
    deployment: str  #: that answered; empty if none did
    status: int  #: 0 without an answer
    error: str


@dataclass(frozen=True)
class Move:
    """What was seen of an endpoint of prod, and when."""

    endpoint: str
    deployment: str | None  #: that got requests for the first time; None: no deployment got any more
    at: datetime


@dataclass(frozen=True)
class Breach:
    """A run of the monitor that has found drift."""

    run: str
    at: datetime


@dataclass(frozen=True)
class World:
    """Everything at one moment."""

    registered: frozenset[tuple[str, str]] = frozenset()  #: models that a route takes, and their versions
    promotions: tuple[Promotion, ...] = ()
    serving: tuple[Serving, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    queues: tuple[Queue, ...] = ()
    listed: frozenset[str] = frozenset()  #: dead letters that the app lists
    requests: tuple[Request, ...] = ()
    told: tuple[Told, ...] = ()
    holds: tuple[Hold, ...] = ()
    noted_holds: tuple[str, ...] = ()  #: reasons in the history of holds
    holds_set: tuple[Request, ...] = ()  #: requests for holds and for their release
    editions: Mapping[str, str] = field(default_factory=dict)  #: by digest, of all bundles that may have been published
    publications: tuple[tuple[str, str], ...] = ()  #: digest and reason, as the app lists them
    published: tuple[tuple[Request, str], ...] = ()  #: requests to publish, each with the digest
    failing: frozenset[tuple[str, str]] = frozenset()  #: models, with their versions, that fail for many requests
    failures: tuple[Failure, ...] = ()
    misdirected: tuple[str, ...] = ()  #: what was wrong with an endpoint's division of its requests, in sentences
    differing: frozenset[tuple[str, str]] = frozenset()  #: models, with their versions, that score otherwise
    moves: tuple[Move, ...] = ()
    breaches: tuple[Breach, ...] = ()
    unfinished: tuple[str, ...] = ()  #: names of the jobs of prod that have not ended
    made: tuple[tuple[str, str], ...] = ()  #: models that pipelines left in prod: name and version, and the promotion
    may_hold: tuple[Hold, ...] = ()  #: holds that may have been in force, for all that is known
    scheduled: tuple[tuple[datetime, datetime], ...] = ()  #: from when and until when the schedules were published

    def promotion(self, promotion: str) -> Promotion | None:
        return next((known for known in self.promotions if known.id == promotion), None)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way, and every registration has been noticed."""
        known = {(each.model, each.version) for each in self.promotions if each.requested_by in BY_ITSELF}
        busy = any(queue.active or queue.scheduled for queue in self.queues)
        keeps = any(stage.keeps for each in self.promotions for stage in each.stages)
        return not busy and not keeps and self.registered <= known and all(each.has_ended for each in self.promotions)


def promotion_of(found: Mapping[str, Any]) -> Promotion:
    """From what `GET /api/promotions/{id}` answers."""
    return Promotion(
        id=found["id"],
        route=found["route"],
        model=found["model"],
        version=found["version"],
        status=found["status"],
        requested_by=found["requested_by"],
        stages=tuple(map(_stage_of, found["stages"])),
        journal=tuple(map(_line_of, found["journal"])),
        bundle=found["bundle"] or "",
    )


def _line_of(found: Mapping[str, Any]) -> Line:
    at = datetime.fromisoformat(found["at"])
    return Line(found["what"], found["text"], found["stage"], found["step"], at)


def _step_of(found: Mapping[str, Any]) -> Step:
    started, ended = (datetime.fromisoformat(found[key]) if found.get(key) else None for key in ("started", "ended"))
    return Step(found["name"], found["status"], started, ended)


def _stage_of(found: Mapping[str, Any]) -> Stage:
    evidence = {step["name"]: step["evidence"] or {} for step in (*found["steps"], *found["undoing"])}
    left = [
        *evidence.get("retire", {}).get("left_alone", {}),
        *([evidence["remove"]["left_alone"]] if "left_alone" in evidence.get("remove", {}) else []),
    ]
    return Stage(
        name=found["name"],
        status=found["status"],
        undoing={step["name"]: step["status"] for step in found["undoing"]},
        left_alone=frozenset(left),
        others=frozenset(evidence.get("shift", {}).get("others", ())),
        replaces=found["replaces"],
        keeps=found["kept_until"] is not None,
        breached=frozenset(step for step, seen in evidence.items() if _is_breached(seen)),
        steps=tuple(map(_step_of, found["steps"])),
        attempt=found["attempt"],
        deployment=evidence.get("deploy", {}).get("deployment"),
    )


def _is_breached(evidence: Mapping[str, Any]) -> bool:
    live = (evidence.get("seen") or {}).get("live") or {}
    return any(finding["result"] == "breached" for finding in live.get("findings", ()))
