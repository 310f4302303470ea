"""What would happen to a version if somebody started its promotion now. Changes nothing."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.core import views
from shared.core.events import NotNowError
from shared.core.holds import Holds
from shared.core.lane import decide
from shared.core.messages import FailureKind, Kind
from shared.core.precedence import was_found
from shared.core.promotion import Lane, Promotion, StageRun, StageStatus
from shared.http import bodies, refusals, starting
from shared.http.capacity_ahead import Look, capacity_ahead
from shared.http.planned_runs import planned_gates, planned_run
from shared.http.starting import Start
from shared.ports import PromotionFilter, Store

if TYPE_CHECKING:
    from shared.config import Configuration

#: How many of a model's newest promotions are searched for the version.
_NEWEST = 200
_OPTIONS = ("route", "source", "through")
#: With `true`, Azure is asked for the quota of each stage, which takes some seconds.
_CAPACITY = "capacity"
#: Parameters that the platform adds to a query.
_PLATFORM = ("code", "clientId")


class Plans:
    """Answers what would happen. Thread-safe. `clock` returns the time with its zone."""

    def __init__(
        self, store: Store, configuration: Callable[[], "Configuration"], clock: Callable[[], datetime], look: Look
    ) -> None:
        """`look` runs one poll of the step that reads the quota."""
        self._look = look
        self._store = store
        self._configuration = configuration
        self._clock = clock

    def plan(self, model: str, version: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the promotion as it would start, and what is known of its stages. Raises `RefusedError`."""
        _check(query)
        options = {key: query[key] for key in _OPTIONS if key in query}
        body = {"model": model, "version": version, "reason": "a plan", **options}
        asked = bodies.read(Start, json.dumps(body).encode())
        now = self._clock()
        event = starting.requested(asked, self._configuration(), None, f"plan of {model}/{version}", now)
        lane, _ = self._store.load(event.promotion.lane, None)
        holds, _ = self._store.holds()
        try:
            decided = decide(lane, event, now, holds)
        except NotNowError as fault:
            raise refusals.BadRequestError(str(fault)) from fault
        planned = decided.lane.promotion(event.promotion.id) or event.promotion
        earlier = self._earlier(model, version)
        seen = _figures(earlier)
        return {
            "promotion": views.details(planned, decided.journal, decided.lane),
            "stages": [
                {
                    **_stage(stage, lane, planned, seen),
                    "hold": _hold(stage.name, lane, holds, now),
                    "capacity": (capacity_ahead(lane, planned, stage, self._look, now) if _CAPACITY in query else None),
                }
                for stage in planned.stages
            ],
            "earlier": [views.summary(each) for each in earlier],
            **_found(earlier),
        }

    def _earlier(self, model: str, version: str) -> list[Promotion]:
        page = self._store.promotions(PromotionFilter(model=model), _NEWEST, None)
        return [each for each in page.promotions if each.candidate.version == version]


def _check(query: Mapping[str, str]) -> None:
    known = (*_OPTIONS, _CAPACITY)
    unknown = [key for key in query if key not in (*known, *_PLATFORM)]
    if unknown:
        raise refusals.BadRequestError(f"unknown parameter {unknown[0][:100]}; known are {', '.join(known)}")
    if query.get(_CAPACITY, "true") != "true":
        raise refusals.BadRequestError(f"{_CAPACITY}: must be true, or left out")


def _stage(stage: StageRun, lane: Lane, planned: Promotion, seen: Mapping[str, float]) -> dict[str, Any]:
    champion = lane.champions.get(stage.name)
    theirs = _metrics(champion.evidence.values()) if champion else {}
    is_pipeline = planned.candidate.kind is Kind.PIPELINE
    return {
        "name": stage.name,
        "champion": champion.candidate.version if champion else None,
        "queue": list(_before(lane, stage.name, planned)),
        "gates": list(planned_gates(stage) if is_pipeline else _gates(stage, seen, theirs)),
        "pipeline_run": planned_run(planned, stage),
    }


def _hold(stage: str, lane: Lane, holds: Holds, now: datetime) -> str | None:
    """Why nothing may enter the stage now, in words; None if nothing keeps it out."""
    of_rollback = lane.holds.get(stage)
    if of_rollback is not None:
        return f"held by {of_rollback.by}: {of_rollback.reason}"
    found = holds.on(lane.key.route, lane.key.model, stage, now)
    if found is None:
        return None
    until = f" until {found.until:%Y-%m-%d %H:%M} UTC" if found.until is not None else ""
    return f"held with {found.scope} by {found.by}{until}: {found.reason}"


def _before(lane: Lane, stage: str, planned: Promotion) -> Iterator[str]:
    """Yield the other versions that have not left the stage yet."""
    for promotion in lane.under_way():
        theirs = promotion.stage(stage)
        ended = theirs is None or theirs.status in (StageStatus.SUCCEEDED, StageStatus.FAILED)
        if promotion.candidate != planned.candidate and not ended:
            yield promotion.candidate.version


def _gates(stage: StageRun, seen: Mapping[str, float], theirs: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Yield the gates of each step. A setting has its step's name, and holds gates itself or beside what measures."""
    steps = {step.plan.name for step in stage.steps}
    for key, held in stage.settings.get("stage", stage.settings).items():
        measures = isinstance(held, Mapping)
        gates = held.get("gates") if isinstance(held, Mapping) else held
        for gate in gates if key in steps and isinstance(gates, list | tuple) else ():
            if isinstance(gate, Mapping) and "metric" in gate:
                yield {
                    "step": key,
                    "metric": gate["metric"],
                    "settings": {name: value for name, value in gate.items() if name != "metric"},
                    # Figures of the training job. A step that measures does so anew.
                    "measured": measures,
                    "candidate": None if measures else seen.get(gate["metric"]),
                    "champion": None if measures else theirs.get(gate["metric"]),
                }


def _found(earlier: Sequence[Promotion]) -> dict[str, Any]:
    """Return whether the last promotion that looked for the version found it, and why not."""
    for promotion in earlier:
        if was_found(promotion):
            return {"found": True, "missing": None}
        failures = [step.failure for stage in promotion.stages for step in stage.steps if step.failure is not None]
        reasons = [failure.reason for failure in failures if failure.kind is FailureKind.NOT_FOUND]
        if reasons:
            return {"found": False, "missing": reasons[0]}
    return {"found": None, "missing": None}


def _figures(earlier: Sequence[Promotion]) -> dict[str, float]:
    """Return the metrics of the version that its promotions have seen; the newest count."""
    found: dict[str, float] = {}
    for promotion in reversed(earlier):
        found |= _metrics(step.evidence for stage in promotion.stages for step in stage.steps)
    return found


def _metrics(evidence: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in evidence:
        metrics = each.get("metrics")
        if isinstance(metrics, Mapping):
            found |= {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return found
