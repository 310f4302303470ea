"""Requests about promotions and lanes over HTTP: show, start and steer them.

Each method takes the content of the request and returns the JSON values of the answer, or raises `RefusedError`. The
caller is authorised already (see `authorisation`); `by` is the caller, None for one with only a key.

A request is applied to its lane at once: saved first, then sent. If the process dies in between, the reconciling timer
finishes the work.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shared.coordinator.changed_settings import changed_settings
from shared.coordinator.lanes import Lanes
from shared.coordinator.renewal import Renewal
from shared.core import events, views
from shared.core.events import LaneEvent, Person
from shared.core.lane import Decision
from shared.core.messages import LaneKey
from shared.core.promotion import Lane, Promotion
from shared.http import bodies, listing, refusals, starting
from shared.http.bodies import Body, Text
from shared.ports import QueueUnavailableError, Store, VersionConflictError
from shared.telemetry import telemetry, trace_files

if TYPE_CHECKING:
    from shared.config import Configuration

#: Limit for an Idempotency-Key, in characters.
LONGEST_KEY = 255


class Reason(Body):
    """The body of a request that needs only a reason."""

    reason: Text


class Approve(Body):
    """The body of an approval; `evidence` is the digest that the person saw."""

    reason: Text
    stage: Text | None = None
    evidence: Text | None = None


class OfStage(Body):
    """The body of a request about one stage, which may be left out if only one qualifies."""

    reason: Text
    stage: Text | None = None


class TryAgain(Body):
    """The body of a retry."""

    reason: Text
    from_step: Text | None = None


#: By the last part of the path: the body and the event that it becomes.
ACTIONS: Mapping[str, tuple[type[Body], Callable[..., LaneEvent]]] = {
    "approve": (Approve, events.Approved),
    "reject": (OfStage, events.Rejected),
    "cancel": (Reason, events.Cancelled),
    "roll-back": (OfStage, events.RolledBack),
    "abandon": (OfStage, events.Abandoned),
    "retire": (OfStage, events.KeepingEnded),
    "retry": (TryAgain, events.Retried),
}


class Configurations(Protocol):
    """The configuration, as this process knows it and as it is."""

    @property
    def configuration(self) -> "Configuration":
        """As this process knows it: at most some seconds old."""

    @property
    def newest_configuration(self) -> "Configuration":
        """As it is. It takes longer, so it is for people who ask, not for polls."""


class Requests:
    """Answers requests. Thread-safe. `clock` returns the time with its zone."""

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        configurations: Configurations,
        clock: Callable[[], datetime],
        traces: Path | None = None,
        renewal: Renewal = lambda _: None,
    ) -> None:
        """`traces`: folder of trace files."""
        self._renewal = renewal
        self._store = store
        self._lanes = lanes
        self._configurations = configurations
        self._clock = clock
        self._traces = traces

    def promotions(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of promotions, newest first."""
        try:
            asked = listing.read(query)
            page = self._store.promotions(asked.wanted, asked.top, asked.continuation)
            if not page.promotions and asked.continuation is None:
                listing.check_names(query, self._configurations.newest_configuration)
        except ValueError as fault:
            raise refusals.BadRequestError(str(fault)) from fault
        return {
            "value": [views.summary(promotion) for promotion in page.promotions],
            "next_link": listing.next_link(url, query, page.following),
        }

    def promotion(self, promotion: str) -> dict[str, Any]:
        """Return one promotion in full."""
        found = self._store.promotion(promotion)
        if found is None:
            raise _no_promotion(promotion)
        lane, _ = self._store.load(found[0].lane, promotion)
        shown = views.details(*found, lane)
        configuration = self._configurations.configuration
        shown["changed_settings"] = changed_settings(found[0], configuration)
        for stage in shown["stages"]:
            environment = configuration.environments.get(stage["environment"])
            stage["workspace"] = environment.workspace.id if environment else None
        return shown

    def trace(self, promotion: str) -> dict[str, Any]:
        """Return the id of a promotion's trace, and its spans if they are kept on this machine."""
        if self._store.promotion(promotion) is None:
            raise _no_promotion(promotion)
        trace = telemetry.trace_id(promotion)
        return {"trace": trace, "spans": trace_files.read(self._traces, trace) if self._traces else None}

    def start(self, body: bytes, by: Person | None, key: str | None) -> dict[str, Any]:
        """Start a promotion and return it. The same request with the same key returns the same promotion."""
        asked = bodies.read(starting.Start, body)
        request = _request_text(by, key)
        event = starting.requested(asked, self._configurations.newest_configuration, by, request, self._clock())
        if key is not None:
            self._claim(request, asked)
        self._apply(event)
        return self.promotion(event.promotion.id)

    def act(self, action: str, promotion: str, body: bytes, by: Person) -> dict[str, Any]:
        """Steer a promotion; return what was done, in words, and the promotion. `action`: a key of `ACTIONS`."""
        kind, event = ACTIONS[action]
        asked = bodies.read(kind, body)
        if isinstance(asked, TryAgain):
            bodies.known_step(asked.from_step)
        found = self._store.promotion(promotion)
        if found is None:
            raise _no_promotion(promotion)
        more = asked.model_dump()
        if event is events.Retried and not found[0].under_way:
            more["renewed"] = self._renewed(found[0])
        decision = self._apply(event(lane=found[0].lane, promotion=promotion, by=by, **more))
        return {"done": _done(decision), "promotion": self.promotion(promotion)}

    def routes(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of lanes, ordered by name, and which routes are configured, with or without promotions."""
        configuration = self._configurations.newest_configuration
        try:
            asked = listing.read_lanes(query)
            page = self._store.lanes(asked.route, asked.model, asked.top, asked.continuation)
            if not page.lanes and asked.continuation is None:
                listing.check_names(query, configuration)
        except ValueError as fault:
            raise refusals.BadRequestError(str(fault)) from fault
        return {
            "value": self._shown(page.lanes, configuration),
            "configured": [route.name for route in configuration.routes.values() if asked.fits(route)],
            "next_link": listing.next_link(url, query, page.following),
        }

    def release(self, route: str, model: str, stage: str, body: bytes, by: Person) -> dict[str, Any]:
        """Release a hold; return what was done, in words, and the lane."""
        asked = bodies.read(Reason, body)
        key = LaneKey(route, model)
        lane, version = self._store.load(key, None)
        if not version:
            text = f"No {model[:100]} has been promoted along route {route[:100]}."
            raise refusals.NotThereError(text, {"see": "/api/routes"})
        configuration = self._configurations.newest_configuration
        known = [each["name"] for each in self._shown([lane], configuration)[0]["stages"]]
        if stage not in known:
            text = f"Route {route} has no stage {stage[:100]}. Its stages: {', '.join(known)}."
            raise refusals.NotThereError(text, {"see": "/api/routes"})
        decision = self._apply(events.Released(key, stage, by, asked.reason))
        return {"done": _done(decision), "route": self._shown([decision.lane], configuration)[0]}

    def run(self, route: str, stage: str, body: bytes, by: Person | None) -> dict[str, Any]:
        """Have the pipeline that serves a stage run there again; return its promotion."""
        asked = bodies.read(Reason, body)
        configuration = self._configurations.newest_configuration
        decision = self._apply(starting.run_asked(route, stage, asked.reason, configuration, by))
        promotion = decision.lane.promotions[-1].id
        return {"done": _done(decision), "promotion": self.promotion(promotion)}

    def _claim(self, request: str, asked: starting.Start) -> None:
        content = json.dumps(asked.model_dump(), sort_keys=True)
        if self._store.claim(request, content) != content:
            raise refusals.KeyReusedError(
                "This Idempotency-Key was already used for a different request. Use a new key for a new request."
            )

    def _renewed(self, promotion: Promotion) -> events.Renewed | None:
        try:
            return self._renewal(promotion)
        except events.NotNowError as fault:
            raise refusals.ConflictError(str(fault), {"promotion": views.summary(promotion)}) from fault

    def _apply(self, event: LaneEvent) -> Decision:
        try:
            self._lanes.check()
        except QueueUnavailableError as fault:
            raise refusals.unavailable(fault, "Nothing was changed. Try again.") from fault
        try:
            return self._lanes.apply(event)
        except QueueUnavailableError as fault:
            says = "Your request is saved and continues by itself once that is available again."
            raise refusals.unavailable(fault, says) from fault
        except events.NotAllowedError as fault:
            raise refusals.NotPermittedError(str(fault)) from fault
        except events.TakenElsewhereError as fault:
            elsewhere = {"elsewhere": {"stage": fault.stage, "environment": fault.environment}}
            raise refusals.ConflictError(str(fault), self._as_it_is(event) | elsewhere) from fault
        except events.NotNowError as fault:
            raise refusals.ConflictError(str(fault), self._as_it_is(event)) from fault
        except VersionConflictError as fault:
            raise refusals.TooBusyError("Too many requests are changing this lane. Try again.") from fault

    def _as_it_is(self, event: LaneEvent) -> dict[str, Any]:
        """Return the promotion of a request, to show its state in the refusal."""
        named = getattr(event, "promotion", None)
        found = self._store.promotion(named) if isinstance(named, str) else None
        return {"promotion": views.summary(found[0])} if found else {}

    def _shown(self, lanes: Sequence[Lane], configuration: "Configuration") -> list[dict[str, Any]]:
        """Return lanes with the holds of operators on them."""
        (holds, _), now = self._store.holds(), self._clock()
        return [views.lane(lane, _stages(configuration, lane.key), holds, now) for lane in lanes]


def _stages(configuration: "Configuration", key: LaneKey) -> list[str]:
    """Return the names of a lane's stages, as configured now: none if the route is gone or leaves the model out."""
    route = configuration.routes.get(key.route)
    return [stage.name for stage in route.stages] if route and route.takes(key.model) else []


def _request_text(by: Person | None, key: str | None) -> str:
    """Return the text that makes the promotion's id unique; an idempotency key is scoped to its caller."""
    if key is None:
        return str(uuid.uuid4())
    if len(key) > LONGEST_KEY:
        raise refusals.BadRequestError(f"The Idempotency-Key must not exceed {LONGEST_KEY} characters.")
    return json.dumps([by.id if by else "", key])


def _done(decision: Decision) -> str:
    """Return the first line that the request added to the journal."""
    if decision.repeated:
        return "nothing: this was already done"
    return next((f"{entry.what.replace('-', ' ')} by {entry.text}" for entry in decision.journal), "done")


def _no_promotion(promotion: str) -> refusals.NotThereError:
    return refusals.NotThereError(f"There is no promotion {promotion[:100]}.", {"see": "/api/promotions"})
