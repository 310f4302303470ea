"""Requests about the holds of operators over HTTP. As in `requests.py`: each method returns JSON values, or raises
`RefusedError`."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.coordinator.holding import Holding
from shared.coordinator.lanes import Lanes
from shared.core.events import NotNowError, Person, Released
from shared.core.holds import HoldLine, Holds, OperatorHold, Scope
from shared.core.messages import LaneKey
from shared.http import bodies, hold_scopes, refusals
from shared.http.bodies import Body, Text
from shared.ports import QueueUnavailableError, Store, VersionConflictError

if TYPE_CHECKING:
    from shared.config import Configuration

_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})"


class SetHold(Body):
    """The body that sets a hold. `scope`: as in `hold_scopes`."""

    scope: Text
    reason: Text
    until: Text | None = None  #: a time with its offset, in ISO 8601


class ReleaseHold(Body):
    """The body that releases the hold on a scope."""

    scope: Text
    reason: Text


class HoldRequests:
    """Thread-safe. `clock` returns the time with its zone."""

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        holding: Holding,
        configuration: Callable[[], "Configuration"],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._holding = holding
        self._configuration = configuration
        self._clock = clock

    def list(self) -> dict[str, Any]:
        """Return the holds that are in force, and what happened to holds, the newest first."""
        return self._shown(self._holding.holds())

    def hold(self, body: bytes, by: Person) -> dict[str, Any]:
        """Set a hold; return what was done, in words, and all holds."""
        asked = bodies.read(SetHold, body)
        scope = self._known(self._meant(hold_scopes.readings(asked.scope)))
        until = _moment(asked.until) if asked.until is not None else None
        return self._changed(lambda: self._holding.hold(scope, by, asked.reason, until))

    def release(self, body: bytes, by: Person) -> dict[str, Any]:
        """Release the hold on a scope, also the one that a rollback has set on a stage; return what was done, in words,
        and all holds."""
        asked = bodies.read(ReleaseHold, body)
        found = hold_scopes.readings(asked.scope)
        of_operators = {each.scope for each in self._holding.holds().in_force(self._clock())}
        # A hold outlives its route, so what is held counts before what is configured.
        held = [each for each in found if each in of_operators or self._is_held_by_rollback(each)]
        scope = held[0] if held else self._meant(found)
        of_operator = scope in of_operators
        if self._is_held_by_rollback(scope):
            self._release_rollback(scope, by, asked.reason)
            if not of_operator:
                return {"done": f"{scope} is no longer held, by {by.name}: {asked.reason}", **self.list()}
        elif not of_operator:
            self._known(scope)  # its sentence says more than that there is no hold
        return self._changed(lambda: self._holding.release(scope, by, asked.reason))

    def _meant(self, found: tuple[Scope, ...]) -> Scope:
        return hold_scopes.meant(found, self._configuration())

    def _is_held_by_rollback(self, scope: Scope) -> bool:
        if not (scope.route and scope.model and scope.stage):
            return False
        lane, _ = self._store.load(LaneKey(scope.route, scope.model), None)
        return scope.stage in lane.holds

    def _release_rollback(self, scope: Scope, by: Person, reason: str) -> None:
        try:
            self._lanes.apply(Released(LaneKey(scope.route, scope.model), scope.stage, by, reason))
        except NotNowError:
            return  # somebody else has released it meanwhile
        except QueueUnavailableError as fault:
            raise refusals.unavailable(fault, "The hold is released; what waits for it continues by itself.") from fault
        except VersionConflictError as fault:
            raise refusals.TooBusyError("Too many requests are changing this lane. Try again.") from fault

    def _changed(self, change: Callable[[], Holds]) -> dict[str, Any]:
        """A hold is set and released also while the queues cannot be reached."""
        try:
            holds = change()
        except NotNowError as fault:
            raise refusals.ConflictError(str(fault), {}) from fault
        except VersionConflictError as fault:
            raise refusals.TooBusyError("Too many requests are changing the holds. Try again.") from fault
        return {"done": _done(holds.history[-1]), **self._shown(holds)}

    def _shown(self, holds: Holds) -> dict[str, Any]:
        return {
            "value": [shown(each) for each in holds.in_force(self._clock())],
            "history": [_line(line) for line in reversed(holds.history)],
        }

    def _known(self, scope: Scope) -> Scope:
        """Refuse what no route has: a hold on a misspelt name would hold nothing."""
        routes = self._configuration().routes
        if not scope.route:
            return scope
        route = routes.get(scope.route)
        if route is None:
            raise refusals.NotThereError(f"There is no route {scope.route[:100]}. Routes: {', '.join(routes)}.")
        if scope.model and not route.takes(scope.model):
            raise refusals.NotThereError(f"Route {route.name} does not take {scope.model[:100]}.")
        stages = [stage.name for stage in route.stages]
        if scope.stage and scope.stage not in stages:
            says = f"Route {route.name} has no stage {scope.stage[:100]}. Its stages: {', '.join(stages)}."
            raise refusals.NotThereError(says)
        return scope


def shown(hold: OperatorHold) -> Mapping[str, Any]:
    """A hold as JSON values."""
    return {
        "scope": str(hold.scope),
        "by": hold.by,
        "reason": hold.reason,
        "since": hold.since.isoformat(),
        "until": hold.until.isoformat() if hold.until else None,
    }


def _line(line: HoldLine) -> Mapping[str, Any]:
    return {
        "at": line.at.isoformat(),
        "what": line.what,
        "scope": str(line.scope),
        "who": line.who,
        "reason": line.reason,
        "until": line.until.isoformat() if line.until else None,
    }


def _done(line: HoldLine) -> str:
    what = "everything is" if line.scope.is_everything else f"{line.scope} is"
    until = f" until {line.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if line.until else ""
    done = f"held{until}" if line.what == "set" else "no longer held"
    return f"{what} {done}, by {line.who}: {line.reason}"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if re.fullmatch(_TIME, text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise refusals.BadRequestError(
            f"until: must be a time with its offset, such as 2026-12-01T08:00+01:00, not {text[:100]!r}"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError as fault:
        raise refusals.BadRequestError(f"until: {text} is too far away") from fault
