"""`promotion.yml` as immutable settings: what is promoted, through which environments, on which conditions."""

from typing import TYPE_CHECKING, Any

from shared.config.faults import ConfigurationFaults, Fault
from shared.config.indexing import environment_names

if TYPE_CHECKING:
    from shared.config.configuration import Configuration, Environment, FromJobs, Places, Route
    from shared.config.loading import load, load_places
    from shared.config.policy import Policy
    from shared.config.stage import ApprovalSettings, Gate, Smoke, StageSettings
    from shared.config.workspace import WorkspaceReference

__all__ = [
    "ApprovalSettings",
    "Configuration",
    "ConfigurationFaults",
    "Environment",
    "Fault",
    "FromJobs",
    "Gate",
    "Places",
    "Policy",
    "Route",
    "Smoke",
    "StageSettings",
    "WorkspaceReference",
    "environment_names",
    "load",
    "load_places",
]


def __getattr__(name: str) -> Any:
    # Import what needs pydantic on first use, so that indexing does not import it (see `indexing`).
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shared.config import configuration, loading, policy, stage, workspace

    module = next(each for each in (configuration, loading, policy, stage, workspace) if hasattr(each, name))
    return getattr(module, name)
