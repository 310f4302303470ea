"""Wires the parts together: the only place that knows all of them. Functions call only what is here.

Each part is imported and connected by the first call that needs it, so that indexing stays fast.
"""

import json
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from shared.config.app_settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.cloud.bus import ServiceBus
    from shared.cloud.reach import Reach
    from shared.config import Configuration, Places, Policy
    from shared.config.roles import Roles
    from shared.coordinator.coordinator import Coordinator
    from shared.coordinator.lanes import Lanes
    from shared.http.approval_requests import ApprovalRequests
    from shared.http.authorisation import Authorisation
    from shared.http.failure_requests import FailureRequests
    from shared.http.health import Health
    from shared.http.lineage_requests import LineageRequests
    from shared.http.requests import Requests
    from shared.http.series_requests import SeriesRequests
    from shared.http.sign_in import Verifier
    from shared.ports import (
        Approvals,
        Bus,
        DeadLetters,
        DiscardedLetters,
        LiveSeries,
        Postponing,
        Store,
        Topic,
        Workspace,
    )
    from shared.telemetry.telemetry import Telemetry
    from shared.worker.order import Rules
    from shared.worker.worker import Worker

T = TypeVar("T")


# --- called while functions are indexed, before there is an app -------------------------------------------------------


def environments(variables: "Mapping[str, str]" = os.environ) -> list[str]:
    """The names of all environments of the configuration."""
    from shared.config import environment_names

    return environment_names(AppSettings.read(variables).configuration_path)


def roles_here(variables: "Mapping[str, str]" = os.environ) -> "Roles":
    """The roles of this app: whether it is the coordinator, and its workers."""
    from shared.config import roles

    return roles.roles_here(AppSettings.read(variables), environments(variables))


def approvals_are_taken_here(variables: "Mapping[str, str]" = os.environ) -> bool:
    """Whether an environment whose worker runs here may take approvals itself. The policies decide, but reading them
    takes longer."""
    from shared.config.indexing import may_take_approvals

    path = AppSettings.read(variables).configuration_path
    return bool(roles_here(variables).environments) and may_take_approvals(path)


def sign_in_is_required(variables: "Mapping[str, str]" = os.environ) -> bool:
    """Whether a function key alone gives no access."""
    from shared.config import sign_in

    return sign_in.is_required(AppSettings.read(variables))


class _made_once(cached_property[T]):  # noqa: N801  # used as a decorator
    """A cached property that only one thread computes, since each value may be a connection."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.making:
            return super().__get__(instance, owner)


class App:
    """The app in one function process. `variables` are its environment variables."""

    def __init__(self, variables: "Mapping[str, str]") -> None:
        self._variables = variables
        self.settings = AppSettings.read(variables)
        self.making = RLock()
        self._workspaces: dict[tuple[str, str], Workspace] = {}

    @_made_once
    def configuration(self) -> "Configuration":
        """The configuration. Raises `ConfigurationFaults` with every fault in the file."""
        from shared.config import load

        return load(self.settings.configuration_path, self._variables)

    @_made_once
    def places(self) -> "Places":
        """The registry and the environments that have a worker here; other environments' settings are not needed."""
        from shared.config import load_places

        return load_places(self.settings.configuration_path, self._variables, self.roles.environments)

    @property
    def roles(self) -> "Roles":
        return roles_here(self._variables)

    @property
    def folder(self) -> Path:
        """The folder of `promotion.yml` and the files that it names."""
        return self.settings.configuration_path.parent

    @_made_once
    def store(self) -> "Store":
        from shared.cloud import stores

        return stores.connect(self.settings)

    @_made_once
    def bus(self) -> "Bus":
        bus: Bus = self._service_bus
        return bus

    @_made_once
    def postponing(self) -> "Postponing":
        """Postpones messages that cannot be processed now."""
        bus: Postponing = self._service_bus
        return bus

    @_made_once
    def _service_bus(self) -> "ServiceBus":
        from shared.cloud import bus

        return bus.connect(self.settings, self.reach)

    @_made_once
    def dead_letters(self) -> "DeadLetters":
        """The dead letters of the queues."""
        from shared.cloud import bus, dead_letters

        return dead_letters.ServiceBusDeadLetters(bus.client(self.settings), self.reach)

    @_made_once
    def reach(self) -> "Reach":
        """Whether Service Bus can be reached, shared by all parts."""
        from shared.cloud.reach import Reach

        return Reach()

    @_made_once
    def topic(self) -> "Topic | None":
        """The topic for changes; None if none is configured."""
        if not self.settings.topic_endpoint:
            return None
        from shared.cloud import topic
        from shared.ports import Publishing

        return topic.connect(self.settings, lambda trouble: self.store.keep_publishing(Publishing(_now(), trouble)))

    @_made_once
    def telemetry(self) -> "Telemetry":
        """Records what happens, if the settings say where."""
        if self.settings.is_observed:
            from shared.cloud import monitor

            return monitor.connect(self.settings)
        from shared.telemetry.telemetry import Telemetry

        return Telemetry()

    @_made_once
    def coordinator(self) -> "Coordinator":
        """Handles events."""
        from shared.coordinator.coordinator import Coordinator

        return Coordinator(self, self.telemetry, _now)

    def is_unavailable(self, fault: Exception) -> bool:
        """Whether an error means that the store cannot be used now."""
        from shared.cloud import stores

        return stores.is_unavailable(fault)

    @_made_once
    def lanes(self) -> "Lanes":
        from shared.coordinator.lanes import Lanes

        return Lanes(self.store, self.bus, _now, self.topic, self.telemetry)

    @_made_once
    def worker(self) -> "Worker":
        """Runs commands."""
        from shared.worker.worker import Worker

        return Worker(self, self.telemetry, _now)

    @_made_once
    def approvals(self) -> "Approvals":
        """The approval requests of this app's environments, and people's decisions, in the app's own storage."""
        from shared.cloud import stores

        return stores.connect_approvals(self.settings)

    @_made_once
    def approval_requests(self) -> "ApprovalRequests":
        """HTTP requests to environments that take their approvals themselves."""
        from shared.http.approval_requests import ApprovalRequests

        return ApprovalRequests(self.approvals, self._policy, _now)

    def _policy(self, environment: str) -> "Policy | None":
        found = self.places.environments.get(environment)
        return found.policy if found else None

    def rules(self, environment: str) -> "Rules":
        """The rules of an environment whose worker runs here."""
        from shared.worker.order import Rules

        here = self.places.environments[environment]
        policy = here.policy
        rules = Rules(
            policy,
            source=self._source(environment),
            url=self.settings.address,
            workspace=here.workspace.id,
            shares_data=self._shared_data[environment],
        )
        return replace(rules, approvals=self.approvals) if policy.taken_by_environment else rules

    @_made_once
    def _shared_data(self) -> "Mapping[str, frozenset[str]]":
        """By environment: the names of the data assets that may leave it for the registry."""
        from shared.config.sources import shared_data

        path = self.settings.configuration_path
        return {environment: shared_data(path, environment) for environment in self.places.environments}

    @_made_once
    def requests(self) -> "Requests":
        """HTTP requests about promotions and lanes."""
        from shared.http.requests import Requests

        folder = Path(self.settings.traces) if self.settings.traces else None
        return Requests(self.store, self.lanes, lambda: self.configuration, _now, folder)

    @_made_once
    def series(self) -> "LiveSeries":
        """The live figures that workers reported."""
        from shared.cloud import stores

        return stores.connect_series(self.settings)

    @_made_once
    def series_requests(self) -> "SeriesRequests":
        """HTTP requests about live figures."""
        from shared.http.series_requests import SeriesRequests

        return SeriesRequests(self.store, self.series)

    @_made_once
    def lineage(self) -> "LineageRequests":
        """What people ask over HTTP of where things came from."""
        from shared.http.lineage_requests import LineageRequests

        return LineageRequests(self.store, lambda: self.configuration)

    @_made_once
    def verifier(self) -> "Verifier | None":
        """Verifies tokens; None if no tokens are accepted. Raises `SignInSettingsError` with every fault."""
        from shared.cloud.signing_keys import SigningKeys, fetch
        from shared.config import sign_in
        from shared.http.sign_in import Verifier

        settings = sign_in.read(self.settings)
        return Verifier(settings, SigningKeys(partial(fetch, settings))) if settings else None

    @_made_once
    def authorisation(self) -> "Authorisation":
        """Who may do what over HTTP."""
        from shared.http.authorisation import Authorisation

        return Authorisation(sign_in_is_required(self._variables), lambda: self.verifier)

    @_made_once
    def failures(self) -> "FailureRequests":
        """HTTP requests about failures."""
        from shared.http.failure_requests import FailureRequests

        return FailureRequests(
            self.store, self.lanes, self.dead_letters, lambda: self.configuration, _now, lambda: self.discarded
        )

    @_made_once
    def discarded(self) -> "DiscardedLetters":
        """The dead letters that people have discarded."""
        from shared.cloud import stores

        return stores.connect_discarded(self.settings)

    @_made_once
    def health(self) -> "Health":
        """Checks all of this."""
        from shared.config.sources import source_names
        from shared.http.health import Health

        return Health(
            self.roles,
            environments(self._variables),
            self.folder,
            lambda: self.configuration,
            lambda: self.store,
            lambda: self.dead_letters,
            lambda: self.topic,
            self.workspace,
            self._policy,
            self.rules,
            partial(source_names, self.settings.configuration_path),
            lambda: self.verifier,
        )

    def workspace(self, environment: str) -> "Workspace":
        """The environment's workspace with the environment's identity. Kept, because it caches addresses."""
        return self._workspace(self.places.environments[environment].workspace.id, environment)

    def _source(self, environment: str) -> "Workspace | None":
        """The workspace that models come from, if the environment's identity may read it."""
        found = self.places.environments[environment].policy.source_workspace
        return self._workspace(found.id, environment) if found else None

    def _workspace(self, workspace: str, environment: str) -> "Workspace":
        """A workspace with the environment's identity."""
        if (workspace, environment) not in self._workspaces:
            from shared.cloud.azureml import AzureMLWorkspace

            identity = self.places.environments[environment].identity
            cloud = json.loads(self.settings.azureml_cloud) if self.settings.azureml_cloud else None
            self._workspaces[workspace, environment] = AzureMLWorkspace(
                workspace, self.places.registry, identity, cloud
            )
        return self._workspaces[workspace, environment]


@cache
def app() -> App:
    """This process's app, with the settings of its environment."""
    from shared.telemetry.logs import keep_safe

    keep_safe(logging.getLogger("mlpromote"))
    logging.getLogger("azure").setLevel(logging.WARNING)  # at Info the SDKs log the headers of every call
    return App(os.environ)


def _now() -> datetime:
    return datetime.now(UTC)
