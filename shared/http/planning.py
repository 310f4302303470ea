"""What would happen to a version if somebody started its promotion now. Changes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.core import views
from shared.core.events import NotNowError
from shared.core.lane import decide
from shared.core.promotion import Lane, Promotion, StageRun, StageStatus
from shared.http import refusals, starting
from shared.http.starting import Start
from shared.ports import PromotionFilter, Store

if TYPE_CHECKING:
    from shared.config import Configuration

#: How many of a model's newest promotions are searched for the version.
_NEWEST = 200
_OPTIONS = ("route", "source", "through")
#: Parameters that the platform adds to a query.
_PLATFORM = ("code", "clientId")
#: Settings of a stage that hold gates, with the step that looks at them.
_GATES = {"validate": "validate", "evaluate": "evaluate"}


class Plans:
    """Answers what would happen. Thread-safe. `clock` returns the time with its zone."""

    def __init__(
        self, store: Store, configuration: Callable[[], "Configuration"], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._clock = clock

    def plan(self, model: str, version: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the promotion as it would start, and what is known of its stages. Raises `RefusedError`."""
        unknown = [key for key in query if key not in (*_OPTIONS, *_PLATFORM)]
        if unknown:
            known = ", ".join(_OPTIONS)
            raise refusals.BadRequestError(f"unknown parameter {unknown[0][:100]}; known are {known}")
        asked = Start(
            model=model, version=version, reason="a plan", **{key: query[key] for key in _OPTIONS if key in query}
        )
        now = self._clock()
        event = starting.requested(asked, self._configuration(), None, f"plan of {model}/{version}", now)
        lane, _ = self._store.load(event.promotion.lane, None)
        try:
            decided = decide(lane, event, now)
        except NotNowError as fault:
            raise refusals.BadRequestError(str(fault)) from fault
        planned = decided.lane.promotion(event.promotion.id) or event.promotion
        earlier = self._earlier(model, version)
        seen = _figures(earlier)
        return {
            "promotion": views.details(planned, decided.journal, decided.lane),
            "stages": [_stage(stage, lane, planned, seen) for stage in planned.stages],
            "earlier": [views.summary(each) for each in earlier],
        }

    def _earlier(self, model: str, version: str) -> list[Promotion]:
        page = self._store.promotions(PromotionFilter(model=model), _NEWEST, None)
        return [each for each in page.promotions if each.candidate.version == version]


def _stage(stage: StageRun, lane: Lane, planned: Promotion, seen: Mapping[str, float]) -> dict[str, Any]:
    champion, hold = lane.champions.get(stage.name), lane.holds.get(stage.name)
    theirs = _metrics(champion.evidence.values()) if champion else {}
    return {
        "name": stage.name,
        "champion": champion.candidate.version if champion else None,
        "queue": list(_before(lane, stage.name, planned)),
        "hold": f"held by {hold.by}: {hold.reason}" if hold else None,
        "gates": list(_gates(stage, seen, theirs)),
    }


def _before(lane: Lane, stage: str, planned: Promotion) -> Iterator[str]:
    """Yield the versions that have not left the stage yet."""
    for promotion in lane.under_way():
        theirs = promotion.stage(stage)
        ended = theirs is None or theirs.status in (StageStatus.SUCCEEDED, StageStatus.FAILED)
        if promotion.id != planned.id and not ended:
            yield promotion.candidate.version


def _gates(stage: StageRun, seen: Mapping[str, float], theirs: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    steps = {step.plan.name for step in stage.steps}
    settings = stage.settings.get("stage", stage.settings)
    for key, step in _GATES.items():
        held = settings.get(key) or ()
        gates: Sequence[Mapping[str, Any]] = held.get("gates") or () if isinstance(held, Mapping) else held
        for gate in gates if step in steps else ():
            # Figures of the training job; an evaluation measures anew.
            is_known = step == "validate"
            yield {
                "step": step,
                "metric": gate["metric"],
                "settings": {name: value for name, value in gate.items() if name != "metric"},
                "candidate": seen.get(gate["metric"]) if is_known else None,
                "champion": theirs.get(gate["metric"]) if is_known else None,
            }


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
