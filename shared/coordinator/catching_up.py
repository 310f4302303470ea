"""Who looks for registrations of which no notification came, and whose word on the registry counts.

A registry raises no events and has no worker: for each route that takes models from there, the worker of its first
stage looks. No other worker's report of the registry counts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.core.asset_names import registry_id
from shared.core.messages import FindRegistrations

if TYPE_CHECKING:
    from shared.config import Configuration, Route


def commands(configuration: "Configuration", since: datetime, now: datetime) -> Iterator[FindRegistrations]:
    """One for each workspace that a route takes models from, and one for each worker that looks into the registry."""
    routes = configuration.model_routes
    for source in dict.fromkeys(route.source for route in routes if not route.is_from_registry):
        asked = configuration.tags_asked_for(configuration.environments[source].workspace.id)
        yield FindRegistrations(source, since, now, tuple(sorted(asked)))
    of_registry = registry_id(configuration.registry)
    for looker in dict.fromkeys(configuration.source_of(route).name for route in routes if route.is_from_registry):
        asked = configuration.tags_asked_for(of_registry)
        wanted = [model for route in _from_registry(configuration, looker) for model in route.models]
        yield FindRegistrations(looker, since, now, tuple(sorted(asked)), tuple(dict.fromkeys(wanted)))


def reports_registry(configuration: "Configuration", environment: str) -> str | None:
    """The id of the registry, if the environment's worker is asked to look into it; else None."""
    return registry_id(configuration.registry) if _from_registry(configuration, environment) else None


def _from_registry(configuration: "Configuration", looker: str) -> list["Route"]:
    return [
        route
        for route in configuration.model_routes
        if route.is_from_registry and configuration.source_of(route).name == looker
    ]
