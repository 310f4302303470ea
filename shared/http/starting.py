"""A person's request to promote a version, as the event for its lane."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from shared.config import azure_names
from shared.config.pipeline_route import PipelineRoute
from shared.config.wording import did_you_mean
from shared.coordinator import rerunning, routing
from shared.core.events import Person, PromotionRequested, RunAsked
from shared.core.lane_notes import Cause
from shared.core.messages import Candidate, Kind, LaneKey
from shared.core.promotion import SOMEBODY, Promotion, StageRun
from shared.core.promotion_ids import promotion_id
from shared.http.bodies import Body, Text
from shared.http.refusals import BadRequestError, NotThereError

if TYPE_CHECKING:
    from shared.config import Configuration, Route

#: Names by which Azure ML finds a version that is not always the same.
_LABELS = ("latest", "default")
#: For a refusal: no route takes what was named, so no promotion of it can begin.
_NO_ROUTE = {"no_route": True}


class Start(Body):
    """The body of `POST /promotions`."""

    model: Text
    version: Text
    reason: Text
    source: Text | None = None  #: name of the environment where the version is registered, or `registry`
    route: Text | None = None
    through: Text | None = None  #: name of the last stage


def requested(
    asked: Start, configuration: "Configuration", by: Person | None, request: str, now: datetime
) -> PromotionRequested:
    """Return the request along the one matching route. `request` makes the promotion unique among those of a version.

    Raises `BadRequestError`. The first step finds out whether the version exists.
    """
    if asked.model not in configuration.routes:  # the name of a published route has a slash
        _check_is_no_route(asked.model, configuration)
        _check_name("model", asked.model)
    _check_name("version", asked.version)
    _check_is_no_label(asked)
    route = _route(asked, configuration)
    candidate, stages = _candidate_and_stages(asked, route, configuration)
    lane = LaneKey(route.name, asked.model)
    promotion = Promotion(
        promotion_id(lane, candidate, request),
        lane,
        candidate,
        stages,
        by.name if by else SOMEBODY,
        configuration.hash,
        now,
        now,
        requester=by.id if by else "",
        bundle=route.bundle,
    )
    return PromotionRequested(promotion, automatic=False, reason=asked.reason)


def run_asked(route: str, stage: str, reason: str, configuration: "Configuration", by: Person | None) -> RunAsked:
    """Return the request to run the pipeline of a route again in a stage. Raises `NotThereError`."""
    found = configuration.routes.get(route)
    if not isinstance(found, PipelineRoute):
        known = ", ".join(each.name for each in configuration.pipeline_routes) or "none"
        raise NotThereError(f"There is no pipeline route {route[:100]}. Pipeline routes: {known}.")
    asked = next((each for each in found.stages if each.name == stage), None)
    if asked is None:
        names = ", ".join(each.name for each in found.stages)
        raise NotThereError(f"Route {route} has no stage {stage[:100]}. Its stages: {names}.")
    return RunAsked(
        rerunning.lane_of(found),
        rerunning.stage_run(found, asked, configuration),
        Cause.PERSON,
        by.name if by else SOMEBODY,
        configuration.hash,
        requester=by.id if by else "",
        reason=reason,
        bundle=found.bundle,
    )


def _candidate_and_stages(
    asked: Start, route: "Route | PipelineRoute", configuration: "Configuration"
) -> tuple[Candidate, tuple[StageRun, ...]]:
    """A pipeline is started by the name of its route, and its version is the job that ran it."""
    names = _stage_names(asked, route)
    if isinstance(route, PipelineRoute):
        runs = [stage for stage in route.stages if stage.name in names]
        candidate = routing.pipeline_candidate(route, asked.version, configuration)
        return candidate, routing.pipeline_stage_runs(runs, route, configuration)
    candidate = Candidate(Kind.MODEL, asked.model, asked.version, route.source, configuration.origin_of(route))
    stages = [stage for stage in route.stages if stage.name in names]
    return candidate, routing.stage_runs(stages, route, asked.model, configuration)


def _check_name(key: str, name: str) -> None:
    rule = azure_names.MODEL_NAME
    try:
        rule.check(name)
    except ValueError:
        text = "letters, digits, full stops, hyphens and underscores, starting with a letter or digit"
        raise BadRequestError(f"{key}: must be at most {rule.longest} {text}, not {name[:100]!r}") from None


def _check_is_no_route(name: str, configuration: "Configuration") -> None:
    """A model's name has no slash: where pipelines are published, what has one was meant to be one of them."""
    published = [each.name for each in configuration.pipeline_routes if "/" in each.name]
    if "/" in name and published:
        hint = did_you_mean(name, published)
        raise BadRequestError(f"model: there is no pipeline route {name[:100]!r}; {hint}", _NO_ROUTE)


def _check_is_no_label(asked: Start) -> None:
    """A label names another version tomorrow; a promotion is of one version for good."""
    if asked.version.lower() in _LABELS:
        raise BadRequestError(
            f"version: {asked.version!r} is a label and no version. Name the version itself: "
            f"`az ml model list --name {asked.model}` shows which there are."
        )


def _route(asked: Start, configuration: "Configuration") -> "Route | PipelineRoute":
    sources = [*configuration.environments, *(route.source for route in configuration.routes.values())]
    _check_known("source", asked.source, dict.fromkeys(sources))
    _check_known("route", asked.route, configuration.routes)
    # The name of a published pipeline has a slash, which a model's pattern would match.
    published = configuration.routes.get(asked.model) if "/" in asked.model else None
    every = [published] if published is not None else configuration.routes.values()
    takers = [route for route in every if route.takes(asked.model)]
    meant = [route for route in takers if asked.source in (None, route.source) and asked.route in (None, route.name)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        names = ", ".join(f"{route.name} (from {route.source})" for route in meant)
        raise BadRequestError(f"route: several routes take {asked.model}; name one of {names}")
    others = ", ".join(f"route {route.name} from {route.source}" for route in takers) or "no route"
    wanted = " ".join(f"{key} {name}" for key, name in (("route", asked.route), ("source", asked.source)) if name)
    says = f"{wanted or 'the model'} does not fit: {asked.model} is taken by {others}"
    if takers:
        raise BadRequestError(says)
    raise BadRequestError(f"{says}{_published_as(asked.model, configuration)}", _NO_ROUTE)


def _published_as(name: str, configuration: "Configuration") -> str:
    """A hint for the name of a pipeline without the source that publishes it; empty if there is none of that name."""
    names = [each.name for each in configuration.pipeline_routes if each.name.rpartition("/")[2] == name]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _check_known(key: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        raise BadRequestError(f"{key}: unknown {name[:100]!r}; configured are {', '.join(known)}")


def _stage_names(asked: Start, route: "Route | PipelineRoute") -> Collection[str]:
    """Return the names of all stages, or of the requested last stage and those before it."""
    after = {stage.name: stage.after for stage in route.stages}
    if asked.through is None:
        return after.keys()
    if asked.through not in after:
        raise BadRequestError(
            f"through: route {route.name} has no stage {asked.through[:100]!r}. Its stages: {', '.join(after)}"
        )
    wanted, left = set[str](), [asked.through]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += after[name]
    return wanted
