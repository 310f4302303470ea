"""Wires the parts together: the only place that knows all of them. Functions call what is here and nothing else.

Nothing is connected, and no other part imported, before the first call that needs it: indexing stays quick.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from shared.cloud.bus import ServiceBus
    from shared.cloud.reach import Reach
    from shared.config import Configuration, Places, Policy
    from shared.config.roles import Roles
    from shared.coordinator.lanes import Lanes
    from shared.core.messages import News
    from shared.http.approval_requests import ApprovalRequests
    from shared.http.authorisation import Authorisation
    from shared.http.failure_requests import FailureRequests
    from shared.http.health import Health
    from shared.http.requests import Requests
    from shared.http.sign_in import Verifier
    from shared.ports import Approvals, Bus, DeadLetters, DiscardedLetters, Postponing, Store, Topic, Workspace
    from shared.telemetry.telemetry import Telemetry
    from shared.worker.rules import Rules
    from shared.worker.worker import Worker

T = TypeVar("T")

log = logging.getLogger("mlpromote")

#: Registrations older than this are not looked for: Event Grid itself gives up after 24 hours.
LOOK_BACK = timedelta(days=2)

CONFIGURATION_FILE = "MLPROMOTE_CONFIGURATION"
CLOUD = "AZUREML_CLOUD"
TOPIC_ENDPOINT = "MLPROMOTE_TOPIC_ENDPOINT"
APPLICATION_INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
#: Folder for traces, where they are not sent to Application Insights.
TRACES = "MLPROMOTE_TRACES"
#: Of each queue, dead letters are counted up to this.
MOST_DEAD_LETTERS = 100
#: Where people reach this app, if not by the name that the platform gave it.
URL = "MLPROMOTE_APP_URL"


def configuration_path(settings: Mapping[str, str] = os.environ) -> Path:
    """Where `promotion.yml` is: as set, relative to the app's folder."""
    folder = Path(__file__).resolve().parents[1]
    return folder / settings.get(CONFIGURATION_FILE, "promotion.yml")


def environments(settings: Mapping[str, str] = os.environ) -> list[str]:
    """The names of all environments of the configuration. Called while functions are indexed."""
    from shared.config import environment_names

    return environment_names(configuration_path(settings))


def roles_here(settings: Mapping[str, str] = os.environ) -> "Roles":
    """Whether this app is the coordinator, and its workers. Called while functions are indexed."""
    from shared.config import roles

    return roles.roles_here(settings, environments(settings))


def approvals_are_taken_here(settings: Mapping[str, str] = os.environ) -> bool:
    """Whether an environment whose worker runs here may take approvals itself. Called while functions are indexed: the
    policies, which take longer to read, have the last word."""
    from shared.config.indexing import may_take_approvals

    return bool(roles_here(settings).environments) and may_take_approvals(configuration_path(settings))


def sign_in_is_required(settings: Mapping[str, str] = os.environ) -> bool:
    """Whether a function key opens nothing. Called while functions are indexed."""
    from shared.config import sign_in

    return sign_in.is_required(settings)


def address(settings: Mapping[str, str]) -> str:
    """Where people reach this app; empty where nothing says so."""
    if settings.get(URL):
        return settings[URL].rstrip("/")
    host = settings.get("WEBSITE_HOSTNAME")  # set by the platform
    return f"https://{host}" if host else ""


class _made_once(cached_property[T]):  # noqa: N801  # used as a decorator
    """A cached property of which two threads never make two: each is a connection."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.making:
            return super().__get__(instance, owner)


class App:
    """The app as one function process sees it. `settings` are the Function App's settings (see the README)."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self.making = RLock()
        self._workspaces: dict[tuple[str, str], Workspace] = {}

    # --- what the functions call ---

    def intake(self, source: Any, kind: Any, data: Any) -> None:
        """Take a notification in. Raises for a malformed one, so that Event Grid keeps it as a dead letter."""
        from shared.coordinator import notifications

        news = notifications.read(source, kind, data)
        if news is None:
            log.info("left out a notification of type %s", kind[:200])
            return
        news = self._relevant(news)
        begun = time.time_ns()
        self.bus.send_events([news])
        if self._is_observed:
            self._record_intake(news, begun, time.time_ns())

    def advance(self, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `promotion-events`. Raises for one that does not belong there."""
        from shared.core import incoming
        from shared.core.queues import EVENTS_QUEUE

        with self._delivery(EVENTS_QUEUE, message_id, body):
            self._apply_news(incoming.read_news(body))

    def take_report(self, environment: str, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `reports-<environment>`. Raises for one that does not belong there."""
        from shared.core import incoming
        from shared.core.messages import StepReported
        from shared.core.queues import reports_queue

        with self._delivery(reports_queue(environment), message_id, body):
            report = incoming.read_report(
                environment, body, lambda name: self.configuration.environments[name].workspace
            )
            if isinstance(report, StepReported):
                self.lanes.apply(report)
            else:
                self._apply_news(report)

    def _apply_news(self, news: "News") -> None:
        from shared.coordinator import routing

        requests = list(routing.requests(news, self.configuration, _now()))
        if not requests:
            log.info("nothing to do for %s of %s", type(news).__name__, news.workspace)
        for request in requests:
            self.lanes.apply(request)

    def work(self, environment: str, body: bytes, delivery: int = 1) -> None:
        """Run one command of the queue `steps-<environment>`. Raises for one that does not belong there.

        `delivery` counts the deliveries of the message, from 1.
        """
        from shared.core import incoming
        from shared.core.messages import RunStep
        from shared.core.queues import steps_queue

        with self._delivery(steps_queue(environment)):
            command = incoming.read_command(environment, body)
            if isinstance(command, RunStep):
                self.worker.run(command, delivery)
            else:
                self.worker.find_registrations(command)

    def reconcile(self) -> None:
        """Wake the lanes that are overdue."""
        from shared.core.lane import TimePassed

        for key in self.store.overdue(_now()):
            log.info("lane %s/%s is overdue", key.route, key.model)
            self.lanes.apply(TimePassed(key))
        if self._settings.get(APPLICATION_INSIGHTS):
            self._count_dead_letters()

    def catch_up(self) -> None:
        """Have the source environments look for registrations whose notification never came."""
        from shared.core.messages import FindRegistrations

        now = _now()
        since = max(self.store.watching_since(now), now - LOOK_BACK)
        sources = dict.fromkeys(route.source for route in self.configuration.routes.values())
        places = self.configuration.environments
        tags = {source: self.configuration.tags_asked_for(places[source].workspace.id) for source in sources}
        self.bus.send_commands(
            [FindRegistrations(source, since, now, tuple(sorted(asked))) for source, asked in tags.items()]
        )

    # --- its parts, each made when it is first needed ---

    @_made_once
    def configuration(self) -> "Configuration":
        """Raises `ConfigurationFaults` with everything that is wrong in the file."""
        from shared.config import load

        return load(configuration_path(self._settings), self._settings)

    @_made_once
    def places(self) -> "Places":
        """The registry and the environments that have a worker here; other environments' settings are not needed."""
        from shared.config import load_places

        return load_places(configuration_path(self._settings), self._settings, roles_here(self._settings).environments)

    @_made_once
    def store(self) -> "Store":
        from shared.cloud import stores

        return stores.connect(self._settings)

    @_made_once
    def bus(self) -> "Bus":
        bus: Bus = self._service_bus
        return bus

    @_made_once
    def postponing(self) -> "Postponing":
        """Sends again later what cannot be worked on now."""
        bus: Postponing = self._service_bus
        return bus

    @_made_once
    def _service_bus(self) -> "ServiceBus":
        from shared.cloud import bus

        return bus.connect(self._settings, self.reach)

    @_made_once
    def dead_letters(self) -> "DeadLetters":
        """What the queues gave up."""
        from shared.cloud import bus, dead_letters

        return dead_letters.ServiceBusDeadLetters(bus.client(self._settings), self.reach)

    @_made_once
    def reach(self) -> "Reach":
        """Whether Service Bus answers: what one part finds out, all know."""
        from shared.cloud.reach import Reach

        return Reach()

    @_made_once
    def topic(self) -> "Topic | None":
        """Where changes are published; None if nowhere."""
        endpoint = self._settings.get(TOPIC_ENDPOINT)
        if not endpoint:
            return None
        from shared.cloud import topic

        return topic.connect(endpoint, self._settings)

    @_made_once
    def telemetry(self) -> "Telemetry":
        """Records what happens, where the settings say; else nowhere."""
        connection_string, folder = self._settings.get(APPLICATION_INSIGHTS), self._settings.get(TRACES)
        if connection_string:
            from shared.cloud import monitor

            return monitor.to_application_insights(connection_string, self._settings)
        if folder:
            from shared.cloud import monitor

            return monitor.to_files(Path(folder))
        from shared.telemetry.telemetry import Telemetry

        return Telemetry()

    @property
    def _is_observed(self) -> bool:
        return bool(self._settings.get(APPLICATION_INSIGHTS) or self._settings.get(TRACES))

    @_made_once
    def lanes(self) -> "Lanes":
        from shared.coordinator.lanes import Lanes

        return Lanes(self.store, self.bus, _now, self.topic, self.telemetry)

    @_made_once
    def worker(self) -> "Worker":
        """Runs commands."""
        from shared.worker.worker import Worker

        folder = configuration_path(self._settings).parent
        return Worker(self.bus, lambda: self.places, self.workspace, folder, self.telemetry, _now, self.rules)

    @_made_once
    def approvals(self) -> "Approvals":
        """What this app's environments asked people to approve, and what they said: in its own storage."""
        from shared.cloud import stores

        return stores.connect_approvals(self._settings)

    @_made_once
    def approval_requests(self) -> "ApprovalRequests":
        """What people ask over HTTP of environments that take their approvals themselves."""
        from shared.http.approval_requests import ApprovalRequests

        return ApprovalRequests(self.approvals, self._policy, _now)

    def _policy(self, environment: str) -> "Policy | None":
        found = self.places.environments.get(environment)
        return found.policy if found else None

    def rules(self, environment: str) -> "Rules":
        """What holds in an environment whose worker runs here."""
        from shared.worker.rules import Rules

        policy = self.places.environments[environment].policy
        rules = Rules(policy, source=self._source(environment), url=address(self._settings))
        return replace(rules, approvals=self.approvals) if policy.taken_by_environment else rules

    @_made_once
    def requests(self) -> "Requests":
        """What people ask over HTTP."""
        from shared.http.requests import Requests

        traces = self._settings.get(TRACES)
        folder = Path(traces) if traces else None
        return Requests(self.store, self.lanes, lambda: self.configuration, _now, folder)

    @_made_once
    def verifier(self) -> "Verifier | None":
        """Verifies tokens; None where no token counts. Raises `SignInSettingsError` with all that is wrong."""
        from shared.cloud.signing_keys import SigningKeys, fetch
        from shared.config import sign_in
        from shared.http.sign_in import Verifier

        settings = sign_in.read(self._settings)
        return Verifier(settings, SigningKeys(partial(fetch, settings))) if settings else None

    @_made_once
    def authorisation(self) -> "Authorisation":
        """Who may do what over HTTP."""
        from shared.http.authorisation import Authorisation

        return Authorisation(sign_in_is_required(self._settings), lambda: self.verifier)

    @_made_once
    def failures(self) -> "FailureRequests":
        """What people ask of failures over HTTP."""
        from shared.http.failure_requests import FailureRequests

        return FailureRequests(
            self.store, self.lanes, self.dead_letters, lambda: self.configuration, _now, lambda: self.discarded
        )

    @_made_once
    def discarded(self) -> "DiscardedLetters":
        """The dead letters that people have put aside."""
        from shared.cloud import stores

        return stores.connect_discarded(self._settings)

    @_made_once
    def health(self) -> "Health":
        """Looks at all of this."""
        from shared.http.health import Health

        return Health(
            roles_here(self._settings),
            environments(self._settings),
            configuration_path(self._settings).parent,
            lambda: self.configuration,
            lambda: self.store,
            lambda: self.dead_letters,
            lambda: self.topic,
            self.workspace,
            lambda: self.verifier,
        )

    def workspace(self, environment: str) -> "Workspace":
        """The environment's workspace with the environment's identity; kept, because it remembers addresses."""
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
            cloud = json.loads(self._settings[CLOUD]) if self._settings.get(CLOUD) else None
            self._workspaces[workspace, environment] = AzureMLWorkspace(
                workspace, self.places.registry, identity, cloud
            )
        return self._workspaces[workspace, environment]

    @contextmanager
    def _delivery(self, queue: str, message_id: str = "", body: bytes = b"") -> Iterator[None]:
        """A message of the queue is being worked on: if that raises, it goes back there, unless it was postponed."""
        from shared.cloud import stores
        from shared.coordinator.postponing import Delivered, postponed
        from shared.telemetry.logs import errors_without_secrets

        delivered = Delivered(queue, message_id, body)
        try:
            with errors_without_secrets(log):
                try:
                    yield
                except Exception as fault:
                    later = stores.is_unavailable(fault)
                    if not later or not postponed(delivered, self.postponing, _now, str(fault)):
                        raise
        except Exception:
            self.telemetry.delivery_failed(queue)
            raise

    def _relevant(self, news: "News") -> "News":
        """The news with what routes ask for. What is wrong with the configuration shows later: then all travels."""
        from shared.config import ConfigurationFaults
        from shared.coordinator.relevance import relevant

        try:
            return relevant(news, self.configuration)
        except ConfigurationFaults:
            return news

    def _record_intake(self, news: "News", begun: int, ended: int) -> None:
        """For the trace of each promotion that comes of the news. What is wrong with the configuration shows later."""
        from shared.config import ConfigurationFaults
        from shared.coordinator import routing

        try:
            promotions = [request.promotion.id for request in routing.requests(news, self.configuration, _now())]
        except ConfigurationFaults:
            return
        about = {"event": type(news).__name__, "workspace": news.workspace}
        self.telemetry.received(promotions, begun, ended, about)

    def _count_dead_letters(self) -> None:
        from shared.core.queues import all_queues
        from shared.ports import QueueUnavailableError

        for queue in all_queues(self.configuration.environments):
            try:
                self.telemetry.dead_letters(queue, len(self.dead_letters.peek(queue, 1, MOST_DEAD_LETTERS)))
            except QueueUnavailableError as fault:
                log.info("dead letters of %s cannot be counted: %s", queue, fault)


@cache
def app() -> App:
    """This process's app, with the settings of its environment."""
    from shared.telemetry.logs import keep_safe

    keep_safe(log)
    logging.getLogger("azure").setLevel(logging.WARNING)  # at Info the SDKs log the headers of every call
    return App(os.environ)


def _now() -> datetime:
    return datetime.now(UTC)
