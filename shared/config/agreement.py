"""Rules between the parts of a configuration: names must resolve, and no two stages may share an endpoint.

They use whatever part of the content is readable, so these faults are reported together with faults in single values.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Any

from shared.config import azure_names, patterns, rollout
from shared.config.faults import Fault, Steps, place
from shared.config.wording import did_you_mean
from shared.core.plan import BATCH_ENDPOINT

#: The same as in `configuration`, which imports this module.
REGISTRY = "registry"


@dataclass(frozen=True)
class _Stage:
    """The readable settings of a stage; None for each that is missing or is not text."""

    steps: Steps
    models: tuple[str, ...]
    name: str | None
    environment: str | None
    endpoint: str | None
    endpoint_key: str  #: the setting that names the endpoint
    after: tuple[str, ...]


def faults(content: object) -> Iterator[Fault]:
    """Return every inconsistency in a configuration's content; settings are already replaced."""
    environments = _mapping(_mapping(content).get("environments"))
    every_stage: list[_Stage] = []
    if REGISTRY in environments:
        yield Fault(place(("environments", REGISTRY)), "this name is reserved for the registry; choose another name")
    for name, route in _mapping(_mapping(content).get("routes")).items():
        steps = ("routes", name)
        models = _texts(_mapping(route).get("models"))
        stages = list(_stages(steps, _mapping(route).get("stages"), models))
        yield from _source(_mapping(route), steps, environments)
        yield from _shared_data(_mapping(route), steps, _mapping(content))
        yield from _jobs(_mapping(route).get("from_jobs"), (*steps, "from_jobs"), models)
        yield from _soaks_without(stages, _mapping(route).get("stages"))
        yield from _rollouts(stages, _mapping(route).get("stages"))
        for stage in stages:
            yield from _unknown(stage.environment, (*stage.steps, "environment"), environments)
            yield from _one_endpoint_for_many(stage)
        twice = list(_names(stages))
        yield from twice or _order(stages, (*steps, "stages"))
        every_stage += stages
    yield from _shared_endpoints(every_stage, environments)


def _stages(steps: Steps, content: object, models: tuple[str, ...]) -> Iterator[_Stage]:
    before: tuple[str, ...] = ()
    for position, item in enumerate(content if isinstance(content, list) else []):
        stage = _mapping(item)
        environment = _text(stage.get("environment"))
        name = _text(stage.get("name")) if "name" in stage else environment
        after = _texts(stage["after"]) if "after" in stage else before
        key = BATCH_ENDPOINT if BATCH_ENDPOINT in stage else "endpoint"
        endpoint = _text(stage.get(key))
        yield _Stage((*steps, "stages", position), models, name, environment, endpoint, key, after)
        before = (name,) if name else ()


def _soaks_without(stages: list[_Stage], content: object) -> Iterator[Fault]:
    """A soak counts how long the stages before have served."""
    for stage, item in zip(stages, content if isinstance(content, list) else [], strict=True):
        if _mapping(item).get("soak") is not None and not stage.after:
            says = "no stage comes before this one; remove this, or name stages in `after`"
            yield Fault(place((*stage.steps, "soak")), says)


def _rollouts(stages: list[_Stage], content: object) -> Iterator[Fault]:
    for stage, item in zip(stages, content if isinstance(content, list) else [], strict=True):
        yield from (Fault(place((*stage.steps, *keys)), says) for keys, says in rollout.faults(_mapping(item)))


def _unknown(name: object, steps: Steps, environments: Mapping[str, Any]) -> Iterator[Fault]:
    if environments and isinstance(name, str) and name not in environments:
        yield Fault(place(steps), f"unknown environment {name!r}; {did_you_mean(name, environments)}")


def _source(route: Mapping[str, Any], steps: Steps, environments: Mapping[str, Any]) -> Iterator[Fault]:
    if route.get("from") != REGISTRY:
        yield from _unknown(route.get("from"), (*steps, "from"), environments)
    elif "pipelines" in route:
        says = "a pipeline comes from the workspace where it ran; name an environment"
        yield Fault(place((*steps, "from")), says)
    elif "from_jobs" in route:
        says = "a registry has no jobs; remove this, or name an environment in `from`"
        yield Fault(place((*steps, "from_jobs")), says)


def _shared_data(route: Mapping[str, Any], steps: Steps, content: Mapping[str, Any]) -> Iterator[Fault]:
    """Data never leaves a workspace where models serve or promoted pipelines run; samples come from elsewhere."""
    if not route.get("share_data"):
        return
    environments, source = _mapping(content.get("environments")), _text(route.get("from"))
    where = place((*steps, "share_data"))
    if source == REGISTRY:
        yield Fault(where, "the route is `from: registry`, so its data is there already; remove this")
        return
    routes = _mapping(content.get("routes")).values()
    stages = [_mapping(stage) for each in routes for stage in (_mapping(each).get("stages") or [])]
    used = {_text(stage.get("environment")) for stage in stages}
    if source and any(_same_place(source, other, environments) for other in used if other):
        yield Fault(
            where,
            f"the workspace of {source} is used by a stage, so its data stays there; share data from another workspace",
        )


def _same_place(one: str, other: str, environments: Mapping[str, Any]) -> bool:
    workspaces = [_workspace_of(environments.get(name)) for name in (one, other)]
    return one == other or (workspaces[0] is not None and workspaces[0] == workspaces[1])


def _jobs(content: object, steps: Steps, models: tuple[str, ...]) -> Iterator[Fault]:
    entries: list[tuple[Steps, object]] = (
        [((*steps, position), item) for position, item in enumerate(content)] if isinstance(content, list) else []
    )
    for where, item in entries or [(steps, content)]:
        model = _text(_mapping(item).get("model"))
        if model and models and not patterns.matches(models, model):
            yield Fault(place((*where, "model")), f"{model!r} is not one of this route's models ({', '.join(models)})")


def _one_endpoint_for_many(stage: _Stage) -> Iterator[Fault]:
    several = stage.models and patterns.only_name(stage.models) is None
    if stage.endpoint and "{" not in stage.endpoint and several:
        yield Fault(
            place((*stage.steps, stage.endpoint_key)),
            f"several models of this route would share this endpoint: add {azure_names.MODEL} to its name",
        )


def _names(stages: list[_Stage]) -> Iterator[Fault]:
    first: dict[str, Steps] = {}
    for stage in stages:
        if stage.name in first:
            yield Fault(
                place(stage.steps), f"{place(first[stage.name])} is also named {stage.name!r}; change one `name`"
            )
        elif stage.name:
            first[stage.name] = stage.steps


def _order(stages: list[_Stage], steps: Steps) -> Iterator[Fault]:
    names = {stage.name for stage in stages if stage.name}
    for stage in stages:
        for position, name in enumerate(stage.after):
            if name not in names:
                yield Fault(
                    place((*stage.steps, "after", position)), f"unknown stage {name!r}; {did_you_mean(name, names)}"
                )
    try:
        TopologicalSorter({stage.name: stage.after for stage in stages if stage.name}).prepare()
    except CycleError as cycle:
        yield Fault(place(steps), f"stages wait for each other through `after`: {' → '.join(cycle.args[1])}")


def _shared_endpoints(stages: list[_Stage], environments: Mapping[str, Any]) -> Iterator[Fault]:
    placed = [(workspace, stage) for stage in stages if (workspace := _workspace(stage, environments))]
    for (workspace, stage), (other_workspace, other) in combinations(placed, 2):
        if workspace == other_workspace and _meet(stage, other):
            yield Fault(
                place((*other.steps, other.endpoint_key)),
                f"{other.endpoint!r} is in the same workspace as {place((*stage.steps, stage.endpoint_key))} "
                "and may be the same endpoint",
            )


def _workspace(stage: _Stage, environments: Mapping[str, Any]) -> str | None:
    return _workspace_of(environments.get(stage.environment or ""))


def _workspace_of(environment: object) -> str | None:
    workspace = _text(_mapping(environment).get("workspace"))
    return workspace.rstrip("/").casefold() if workspace else None


def _meet(one: _Stage, other: _Stage) -> bool:
    """Return whether two stages could deploy to one endpoint. They could if both use the same template for a shared
    model, or if one's fixed name matches the other's template for one of its models. Azure ignores case."""
    return bool(one.endpoint and other.endpoint) and may_meet(
        one.endpoint or "", one.models, other.endpoint or "", other.models
    )


def may_meet(one: str, one_models: Iterable[str], other: str, others_models: Iterable[str]) -> bool:
    """Return whether two templates of endpoints can give the same name for models of these patterns."""
    left, right = one.casefold(), other.casefold()
    models, other_models = ([model.casefold() for model in each] for each in (one_models, others_models))
    if azure_names.MODEL in left and azure_names.MODEL in right:
        return left == right and patterns.overlap(models, other_models)
    if azure_names.MODEL in left:
        return _gives(left, models, right)
    if azure_names.MODEL in right:
        return _gives(right, other_models, left)
    return left == right


def may_meet_across_teams(one: str, one_models: Iterable[str], other: str, others_models: Iterable[str]) -> bool:
    """Return whether two templates give one name for any two names that these patterns match: `{model}-test` of `churn`
    and `{model}` of `churn-*` do. Too strict for stages of one team, whose wildcards are for models like each other."""
    left, right = ([*_expanded(one, one_models)], [*_expanded(other, others_models)])
    return patterns.overlap(left, right)


def _expanded(template: str, models: Iterable[str]) -> Iterator[str]:
    for model in models:
        yield template.casefold().replace(azure_names.MODEL, model.casefold())


def _gives(template: str, models: list[str], endpoint: str) -> bool:
    before, _, behind = template.partition(azure_names.MODEL)
    fits = endpoint.startswith(before) and endpoint.endswith(behind) and len(endpoint) > len(before + behind)
    return fits and patterns.matches(models, endpoint[len(before) : len(endpoint) - len(behind)])


def _mapping(content: object) -> Mapping[str, Any]:
    return content if isinstance(content, dict) else {}


def _text(content: object) -> str | None:
    return (content.strip() or None) if isinstance(content, str) else None


def _texts(content: object) -> tuple[str, ...]:
    return tuple(text for item in content if (text := _text(item))) if isinstance(content, list) else ()
