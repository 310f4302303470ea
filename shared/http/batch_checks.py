"""Health checks of batch endpoints: the cluster and the input of the test, which each promotion would find missing."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.http.checks import Check
from shared.ports import EndpointKind, Workspace

if TYPE_CHECKING:
    from shared.config import Configuration, Route, StageSettings

_TODO = "Create what is missing, or name another one."


def batch_checks(
    configuration: "Configuration",
    here: Collection[str],
    workspace: Callable[[str], Workspace],
    folder: Callable[["Route"], Path],
) -> Iterator[Check]:
    """One check for each stage with a batch endpoint. `here`: the environments whose workspaces this app may read.
    `folder`: that of a route's files."""
    for route in configuration.model_routes:
        for stage in route.stages:
            if stage.is_batch and stage.environment in here:
                look = partial(_seen, route, stage, workspace, folder)
                yield Check("batch endpoint", f"{route.name}.{stage.name}", look, _TODO)


def _seen(
    route: "Route", stage: "StageSettings", workspace: Callable[[str], Workspace], folder: Callable[["Route"], Path]
) -> str:
    environment = workspace(stage.environment).with_endpoints(EndpointKind.BATCH)
    named = environment.deployment_file(folder(route) / stage.deployment).compute
    cluster = environment.cluster(named)
    if cluster is None:
        raise LookupError(f"the workspace has no cluster {named}, which {stage.deployment} names")
    asked = stage.test.asked() if stage.test is not None else None
    if asked is not None and environment.data_asset(asked.name, asked.version) is None:
        raise LookupError(f"the workspace has no data asset {stage.test.input if stage.test else ''}, for its test")
    return f"cluster {named} is there, with nodes of size {cluster.size}; {_endpoint(stage, environment)}"


def _endpoint(stage: "StageSettings", environment: Workspace) -> str:
    name = stage.endpoint_template
    if "{" in name:
        return "its endpoints are made where they are missing"
    found = environment.endpoint(name)
    return f"endpoint {name} is in state {found.state}" if found else f"endpoint {name} will be made"
