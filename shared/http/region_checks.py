"""Health checks of endpoint names: Azure has each name once per region, whatever the workspace.

Two stages may use one name in two regions, so a configuration alone cannot tell. See
https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from shared.http.checks import Check, Seen, State
from shared.ports import Workspace

if TYPE_CHECKING:
    from shared.config import Configuration, Route, StageSettings

_TODO = "Give one of them another endpoint name, such as {model}-test."


@dataclass(frozen=True)
class _Place:
    """A stage and its route."""

    route: "Route"
    stage: "StageSettings"

    @property
    def words(self) -> str:
        return f"{self.route.name}.{self.stage.name}"


def region_checks(
    configuration: "Configuration", here: Collection[str], workspace: Callable[[str], Workspace]
) -> Iterator[Check]:
    """One check for each pair of stages whose endpoints may have the same name in two workspaces.

    `here`: the environments whose workspaces this app may read.
    """
    for one, other in _pairs(configuration):

        def look(one: _Place = one, other: _Place = other) -> str | Seen:
            return _compared(one, other, here, workspace)

        yield Check("endpoint names", f"{one.words} and {other.words}", look, _TODO)


def _pairs(configuration: "Configuration") -> Iterator[tuple[_Place, _Place]]:
    from shared.config.agreement import may_meet  # it needs PyYAML: only when asked

    places = [_Place(route, stage) for route in configuration.model_routes for stage in route.stages]
    for one, other in combinations(places, 2):
        workspaces = [configuration.environments[each.stage.environment].workspace for each in (one, other)]
        same_name = may_meet(
            one.stage.endpoint_template, one.route.models, other.stage.endpoint_template, other.route.models
        )
        if same_name and not workspaces[0].has_id(workspaces[1].id):
            yield one, other


def _compared(one: _Place, other: _Place, here: Collection[str], workspace: Callable[[str], Workspace]) -> str | Seen:
    both = f"both may use the endpoint name {one.stage.endpoint_template}"
    if not {one.stage.environment, other.stage.environment} <= set(here):
        says = f"{both}; this app cannot see whether their workspaces are in one region, where Azure would refuse it"
        return Seen(State.UNCHECKED, says)
    regions = [workspace(each.stage.environment).region() for each in (one, other)]
    if regions[0] == regions[1]:
        raise ValueError(f"{both}, and their workspaces are both in {regions[0]}, where Azure has each name once")
    return f"{both}, in {regions[0]} and in {regions[1]}"
