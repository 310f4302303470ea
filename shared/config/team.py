"""The routes of one source's bundle: read, checked against the platform's file and against other teams' routes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from shared.config import agreement, document, named_files, named_paths, patterns, wording
from shared.config.approvers import beyond_policy
from shared.config.bundle import CONFIGURATION
from shared.config.configuration import AnyRoute, Route
from shared.config.faults import ConfigurationFaults, Fault, place
from shared.config.fields import Label, Settings
from shared.config.pipeline_route import PipelineRoute
from shared.config.pipeline_stage import PipelineStage
from shared.config.platform import Platform, Source, merged, published_name
from shared.config.stage import StageSettings
from shared.config.wording import did_you_mean

TeamRoute = Route | PipelineRoute

_OF_THE_PLATFORM = "belongs to the app's platform.yml, which a bundle cannot change; remove it"
_NO_SETTINGS = "a bundle has no settings of the app; write the value itself"


#: A large team's file has some thousand. A few aliases of aliases make billions, which nothing could read.
MOST_VALUES = 50_000


class TeamConfiguration(Settings):
    """The `promotion.yml` of a bundle."""

    routes: dict[Label, AnyRoute] = Field(min_length=1, description="Ways through the environments, by name.")


def load_team(folder: Path, platform: Platform, source: str, digest: str) -> dict[str, TeamRoute]:
    """Return the routes of the bundle that was unpacked to `folder`, by their names in the app.

    Raises ConfigurationFaults with every fault in the configuration and in the files that it names.
    """
    file = folder / CONFIGURATION
    whose = platform.sources[source]
    content, found = document.read(file)
    if _size(content, {}) > MOST_VALUES:
        says = f"has more than {MOST_VALUES} values, once its aliases are followed"
        raise ConfigurationFaults(Path(CONFIGURATION), [Fault("(top)", says)])
    content, settings = document.with_settings(content, {})
    found += [Fault(each.place, _NO_SETTINGS if "is missing" in each.sentence else each.sentence) for each in settings]
    content, foreign = _without_foreign(content)
    found += foreign
    found += agreement.faults(
        {**content, "environments": _workspaces(platform)} if isinstance(content, dict) else content
    )
    leading_out = named_paths.faults(folder)
    found += leading_out
    team = None
    try:
        team = TeamConfiguration.model_validate(content)
    except ValidationError as refusal:
        unset = {fault.place for fault in settings}
        found += [fault for fault in wording.of_shape(refusal, TeamConfiguration, content) if fault.place not in unset]
    if team is not None:
        _name(team.routes, source, digest)
        found += _beyond_rights(team.routes, platform, whose)
        # A path that leads out of the bundle is not followed.
        found += [] if leading_out else named_files.faults(merged(platform, team.routes.values()), folder)
    if team is None or found:
        raise ConfigurationFaults(Path(CONFIGURATION), [_in_the_file(fault, source) for fault in found])
    return {route.name: route for route in team.routes.values()}


def conflicts(routes: Iterable[TeamRoute], others: Iterable[TeamRoute], platform: Platform) -> list[Fault]:
    """A fault for each endpoint and each model name of a workspace that another source's route has already."""
    found: list[Fault] = []
    known = list(others)
    for route in routes:
        for other in known:
            found += _same_models(route, other, platform)
            found += _same_endpoints(route, other, platform)
    return found


def _size(content: Any, known: dict[int, int]) -> int:
    """The number of values in a document with its aliases followed. `known`: that of each part, by its `id`."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(content)]


def _without_foreign(content: Any) -> tuple[Any, list[Fault]]:
    """The content with the routes only, and a fault for each key of the platform's."""
    if not isinstance(content, dict):
        return content, []
    foreign = [key for key in content if key in Platform.model_fields]
    found = [Fault(place((key,)), _OF_THE_PLATFORM) for key in foreign]
    return {key: value for key, value in content.items() if key not in foreign}, found


def _workspaces(platform: Platform) -> dict[str, Any]:
    return {name: {"workspace": each.workspace.id} for name, each in platform.environments.items()}


def _name(routes: Mapping[str, TeamRoute], source: str, digest: str) -> None:
    for name, route in routes.items():
        route._name = published_name(source, name)
        route._bundle = digest


def _in_the_file(fault: Fault, source: str) -> Fault:
    """The fault with the route's name as the file has it."""
    own = re.sub(rf'^routes\["{re.escape(source)}/([^"]+)"\]', lambda found: place(("routes", found[1])), fault.place)
    return Fault(own, fault.sentence)


def _beyond_rights(routes: Mapping[str, TeamRoute], platform: Platform, source: Source) -> Iterator[Fault]:
    """What the platform's file does not allow the source."""
    for name, route in routes.items():
        steps = ("routes", name)
        for key, named in _environments(route):
            if source.environments and named in platform.environments and named not in source.environments:
                says = f"{source.name} may not use {named}; {did_you_mean(named, source.environments)}"
                yield Fault(place((*steps, *key)), says)
        for key, model in _models(route):
            if not source.may_name(model):
                says = f"{source.name} may not promote {model!r}; its models are {', '.join(source.models)}"
                yield Fault(place((*steps, *key)), says)
        yield from _shared_data(route, steps, platform)
        yield from beyond_policy(route, steps, platform)


def _environments(route: TeamRoute) -> Iterator[tuple[tuple[str | int, ...], str]]:
    stages: Sequence[StageSettings | PipelineStage] = route.stages
    yield ("from",), route.source
    for position, stage in enumerate(stages):
        yield ("stages", position, "environment"), stage.environment


def _models(route: TeamRoute) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(route, Route):
        for position, model in enumerate(route.models):
            yield ("models", position), model
        return
    for position, stage in enumerate(route.stages):
        if stage.register_as is not None:
            yield ("stages", position, "register", "model"), stage.register_as.model


def _shared_data(route: TeamRoute, steps: tuple[str, ...], platform: Platform) -> Iterator[Fault]:
    environment = platform.environments.get(route.source)
    allowed = environment.policy.share_data if environment else ()
    for position, data in enumerate(route.share_data):
        name = re.split("[@:]", data.removeprefix("azureml:"))[0]
        if name not in allowed:
            says = f"{name} may not leave {route.source}: the policy of {route.source} does not list it in `share_data`"
            yield Fault(place((*steps, "share_data", position)), says)


def _same_models(route: TeamRoute, other: TeamRoute, platform: Platform) -> Iterator[Fault]:
    if isinstance(route, PipelineRoute) or isinstance(other, PipelineRoute):
        if isinstance(route, PipelineRoute) and isinstance(other, PipelineRoute):
            yield from _same_experiment(route, other, platform)
        return
    if _workspace(route.source, platform) == _workspace(other.source, platform):
        for position, model in enumerate(route.models):
            if patterns.overlap([model], other.models):
                says = f"models of {route.source} named {', '.join(other.models)} are promoted by {other.name} already"
                yield Fault(place(("routes", _own(route), "models", position)), says)


def _same_experiment(route: PipelineRoute, other: PipelineRoute, platform: Platform) -> Iterator[Fault]:
    same_place = _workspace(route.source, platform) == _workspace(other.source, platform)
    if same_place and route.pipelines.experiment == other.pipelines.experiment:
        experiment = route.pipelines.experiment
        says = f"pipelines of {route.source}'s experiment {experiment} are promoted by {other.name} already"
        yield Fault(place(("routes", _own(route), "pipelines", "experiment")), says)


def _same_endpoints(route: TeamRoute, other: TeamRoute, platform: Platform) -> Iterator[Fault]:
    if isinstance(route, PipelineRoute) or isinstance(other, PipelineRoute):
        return
    for position, stage in enumerate(route.stages):
        for theirs in other.stages:
            same_place = _workspace(stage.environment, platform) == _workspace(theirs.environment, platform)
            if same_place and agreement.may_meet_across_teams(
                stage.endpoint_template, route.models, theirs.endpoint_template, other.models
            ):
                where = f"{other.name} in {theirs.environment}"
                says = (
                    f"{stage.endpoint_template!r} may be the same endpoint as {theirs.endpoint_template!r} of {where}"
                )
                yield Fault(place(("routes", _own(route), "stages", position, stage.endpoint_key)), says)


def _workspace(environment: str, platform: Platform) -> str:
    """The id of its workspace in lower case; for the registry, its name."""
    found = platform.environments.get(environment)
    return found.workspace.id.casefold() if found else environment


def _own(route: TeamRoute) -> str:
    """The route's name in its own file."""
    return route.name.rpartition("/")[2]
