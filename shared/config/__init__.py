"""`promotion.yml` as settings that cannot change: what is promoted, through which environments, on which conditions."""

from shared.config.configuration import Configuration, Environment, FromJobs, Route, Workspace
from shared.config.faults import ConfigurationFaults, Fault
from shared.config.loading import load
from shared.config.stage import Gate, Smoke, StageSettings, Timeouts

__all__ = [
    "Configuration",
    "ConfigurationFaults",
    "Environment",
    "Fault",
    "FromJobs",
    "Gate",
    "Route",
    "Smoke",
    "StageSettings",
    "Timeouts",
    "Workspace",
    "load",
]
