"""Wires the parts together: the only place that knows all of them. Functions call only what is here.

Each part is imported and connected by the first call that needs it, so that indexing stays fast.
"""

import json
import logging
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from shared.config.app_settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.cloud.bundle_folders import BundleFolders
    from shared.cloud.bus import ServiceBus
    from shared.cloud.reach import Reach
    from shared.config import Configuration, Places, Policy
    from shared.config.edited_file import EditedFile
    from shared.config.platform import Platform
    from shared.config.roles import Roles
    from shared.coordinator.coordinator import Coordinator
    from shared.coordinator.holding import Holding
    from shared.coordinator.lanes import Lanes
    from shared.coordinator.published import Published, SourceState
    from shared.core.events import Renewed
    from shared.core.messages import Outcome, RunStep
    from shared.core.promotion import Promotion
    from shared.http.approval_requests import ApprovalRequests
    from shared.http.authorisation import Authorisation
    from shared.http.failure_requests import FailureRequests
    from shared.http.health import Health
    from shared.http.hold_requests import HoldRequests
    from shared.http.lineage_requests import LineageRequests
    from shared.http.planning import Plans
    from shared.http.publishing import PublishingRequests
    from shared.http.requests import Requests
    from shared.http.series_requests import SeriesRequests
    from shared.http.sign_in import Verifier
    from shared.ports import (
        Approvals,
        Bundles,
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

    return environment_names(AppSettings.read(variables).configuration_file)


def roles_here(variables: "Mapping[str, str]" = os.environ) -> "Roles":
    """The roles of this app: whether it is the coordinator, and its workers."""
    from shared.config import roles

    return roles.roles_here(AppSettings.read(variables), environments(variables))


def approvals_are_taken_here(variables: "Mapping[str, str]" = os.environ) -> bool:
    """Whether an environment whose worker runs here may take approvals itself. The policies decide, but reading them
    takes longer."""
    from shared.config.indexing import may_take_approvals

    path = AppSettings.read(variables).configuration_file
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

    @property
    def configuration(self) -> "Configuration":
        """The configuration as it is now. Raises `ConfigurationFaults` with every fault in the file."""
        if self.is_platform:
            found: Configuration = self.published.configuration()
            return found
        configuration: Configuration = self._file.content
        return configuration

    @property
    def newest_configuration(self) -> "Configuration":
        """The same, with what another process may have published a moment ago. Reads a pointer for each source."""
        if self.is_platform:
            self.published.forget()
        return self.configuration

    @_made_once
    def is_platform(self) -> bool:
        """Whether routes come from published bundles, not from the app's own file."""
        from shared.config.platform import is_platform

        return is_platform(self.settings.configuration_file)

    @_made_once
    def platform(self) -> "Platform":
        """The platform's file. Raises `ConfigurationFaults` with every fault in it."""
        from shared.config.platform import load_platform

        return load_platform(self.settings.configuration_file, self._variables)

    @_made_once
    def _file(self) -> "EditedFile[Configuration]":
        from shared.config import load
        from shared.config.edited_file import EditedFile

        return EditedFile(self.settings.configuration_path, lambda path: load(path, self._variables))

    @property
    def places(self) -> "Places":
        """The registry and the environments that have a worker here; other environments' settings are not needed."""
        places: Places = self._places.content
        return places

    @_made_once
    def _places(self) -> "EditedFile[Places]":
        from shared.config import load_places
        from shared.config.edited_file import EditedFile

        read = partial(load_places, settings=self._variables, names=self.roles.environments)
        return EditedFile(self.settings.configuration_file, read)

    @_made_once
    def bundles(self) -> "Bundles":
        """Where bundles are published."""
        from shared.cloud import stores

        return stores.connect_bundles(self.settings)

    @_made_once
    def bundle_folders(self) -> "BundleFolders":
        """The files of bundles on this machine, verified."""
        from shared.cloud.bundle_folders import BundleFolders

        return BundleFolders(lambda: self.bundles, Path(tempfile.gettempdir()) / "mlpromote-bundles")

    @_made_once
    def published(self) -> "Published":
        """What the sources of the platform's file have published."""
        from shared.coordinator.published import Published

        folders = self.bundle_folders
        return Published(
            lambda: self.platform, lambda: self.bundles, folders.folder, self.is_unavailable, self._tell_of_refusal
        )

    def _tell_of_refusal(self, state: "SourceState") -> None:
        if self.topic is not None:
            self.topic.tell_of_source(state.name, state.pointer.digest if state.pointer else "", state.trouble)

    def take_up_bundles(self) -> None:
        """Read what was published, even if nobody asks for it now."""
        if self.is_platform:
            self.published.states()

    def bundle_folder(self, digest: str) -> Path:
        """The folder of a bundle's files. Raises `RejectedError`; `StoreUnavailableError` if it cannot be read now."""
        from shared.ports import StoreUnavailableError

        try:
            folder: Path = self.bundle_folders.folder(digest)
        except Exception as fault:
            if self.is_unavailable(fault):
                raise StoreUnavailableError(f"bundle {digest[:12]} cannot be read: {fault}") from fault
            raise
        return folder

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
    def holding(self) -> "Holding":
        """Sets and releases the holds of operators."""
        from shared.coordinator.holding import Holding

        return Holding(self.store, self.lanes, _now, self.topic)

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

        places = self.places  # it looks at the file each time
        here = places.environments[environment]
        policy = here.policy
        rules = Rules(
            policy,
            source=self._source(environment),
            url=self.settings.address,
            workspace=here.workspace.id,
            prices=places.prices,
            currency=places.currency,
            shares_data=self._shared_data[environment],
        )
        return replace(rules, approvals=self.approvals) if policy.taken_by_environment else rules

    @property
    def _shared_data(self) -> "Mapping[str, frozenset[str]]":
        """By environment: the names of the data assets that may leave it for the registry."""
        if self.is_platform:  # routes are other teams', so the environment's own policy says it
            return {name: frozenset(each.policy.share_data) for name, each in self.places.environments.items()}
        shared: Mapping[str, frozenset[str]] = self._data_of_routes.content
        return shared

    @_made_once
    def _data_of_routes(self) -> "EditedFile[Mapping[str, frozenset[str]]]":
        from shared.config.edited_file import EditedFile
        from shared.config.sources import shared_data

        here = self.roles.environments
        return EditedFile(
            self.settings.configuration_file, lambda file: {name: shared_data(file, name) for name in here}
        )

    @_made_once
    def requests(self) -> "Requests":
        """HTTP requests about promotions and lanes."""
        from shared.http.requests import Requests

        folder = Path(self.settings.traces) if self.settings.traces else None
        return Requests(self.store, self.lanes, self, _now, folder, self._renewed)

    @_made_once
    def plans(self) -> "Plans":
        """What would happen to a version."""
        from shared.http.planning import Plans

        return Plans(self.store, lambda: self.newest_configuration, _now, lambda command: self.look(command))

    def look(self, command: "RunStep") -> "Outcome | None":
        """One poll of a step that only reads, outside of any promotion; None if its worker runs in another app."""
        from shared.core.redaction import clean_outcome
        from shared.worker.run import Workplace, run_step

        if command.environment not in self.roles.environments:
            return None
        at = Workplace(self.workspace, self.rules, self.folder, _now, self.bundle_folder)
        return clean_outcome(run_step(command, at))

    @_made_once
    def hold_requests(self) -> "HoldRequests":
        """HTTP requests about holds."""
        from shared.http.hold_requests import HoldRequests

        return HoldRequests(self.store, self.lanes, self.holding, lambda: self.newest_configuration, _now)

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
        from shared.coordinator.failures.sources import FailureSources
        from shared.http.failure_requests import FailureRequests

        sources = FailureSources(self.store, self.lanes, self.dead_letters, _now)
        return FailureRequests(sources, lambda: self.configuration, lambda: self.discarded, self._renewed)

    def _renewed(self, promotion: "Promotion") -> "Renewed | None":
        """The newest bundle for a promotion that is retried."""
        from shared.coordinator.renewal import renewed

        if not self.is_platform:
            return None
        return renewed(promotion, self.newest_configuration, self.bundle_folder)

    @_made_once
    def publishing(self) -> "PublishingRequests":
        """HTTP requests about sources, and publishing."""
        from shared.http.publishing import PublishingRequests

        return PublishingRequests(
            lambda: self.platform if self.is_platform else None,
            lambda: self.published,
            lambda: self.bundles,
            self.bundle_folder,
            _now,
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
            partial(source_names, self.settings.configuration_file),
            lambda: self.verifier,
            self.bundle_folder,
            lambda: self.published.states() if self.is_platform else (),
            self._known_to_workers,
            lambda: None if self.is_platform else self._file.trouble,
        )

    def _known_to_workers(self) -> "Configuration | None":
        """The configuration as far as an app without the coordinator's role knows it."""
        from shared.config.loading import load_as_worker

        names = self.roles.environments
        return load_as_worker(self.settings.configuration_file, self._variables, names)

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
