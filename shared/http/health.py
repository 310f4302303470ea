"""Health checks of this app, run with its own settings, identities and rights."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config import ConfigurationFaults, Fault
from shared.config.roles import Roles
from shared.core.events import Person
from shared.core.queues import all_queues, reports_queue, steps_queue
from shared.http.batch_checks import batch_checks
from shared.http.checks import NOBODY, Check, Seen, State, carried_out
from shared.http.environment_checks import Doings, EnvironmentChecks
from shared.http.region_checks import region_checks
from shared.http.sign_in import Verifier
from shared.ports import (
    Capability,
    DeadLetters,
    EndpointKind,
    RejectedError,
    Store,
    Topic,
    TopicUnavailableError,
    Workspace,
)
from shared.worker.order import Rules

if TYPE_CHECKING:
    from shared.config import Configuration, Policy, Route
    from shared.coordinator.published import SourceState

#: What a stage may do besides deploying. Sharing and registering are not among it: most environments should not.
_IF_A_STAGE_ASKS = (
    Capability.DEPLOY_BATCH,
    Capability.INVOKE,
    Capability.RUN,
    Capability.WATCH,
    Capability.REPLAY,
)
#: Digits of a digest that people see.
_SHOWN = 12

#: Limit for all checks together. They run side by side; one that has not answered by then is reported as such.
LONGEST_SECONDS = 20.0
#: Dead letters of a queue are counted up to this number.
MOST_DEAD_LETTERS = 100


@dataclass(frozen=True)
class Health:
    """Checks the parts of one app. Each callable returns a part, or raises why it is unavailable."""

    roles: Roles
    #: Names of all configured environments.
    environments: Sequence[str]
    folder: Path  #: of the configuration
    configuration: Callable[[], "Configuration"]
    store: Callable[[], Store]
    dead_letters: Callable[[], DeadLetters]
    topic: Callable[[], Topic | None]
    workspace: Callable[[str], Workspace]
    policy: Callable[[str], "Policy | None"]
    rules: Callable[[str], Rules]
    sources: Callable[[], Sequence[str]]  #: the environments that models come from
    verifier: Callable[[], Verifier | None]
    bundle_folder: Callable[[str], Path]  #: of the files of a bundle, by its digest
    states: Callable[[], "Sequence[SourceState]"]  #: the sources of platform.yml; empty without one
    #: The configuration as a worker alone knows it; None if it does not know the routes.
    worker_configuration: Callable[[], "Configuration | None"]
    edit: Callable[[], ConfigurationFaults | None]  #: what is wrong with an edited file, if an earlier content counts
    longest_seconds: float = LONGEST_SECONDS

    def report(self, by: Person | None) -> dict[str, Any]:
        """Return the JSON value of the answer; `by` is the caller."""
        findings = list(carried_out(list(self._checks()), self.longest_seconds))
        return {
            "healthy": all(finding.ok for finding in findings),
            "caller": {"name": by.name, "roles": list(by.roles)} if by else None,
            "checks": [{**vars(finding), "ok": finding.ok} for finding in findings],
        }

    def _checks(self) -> Iterator[Check]:
        """Yield the checks of what this app uses. A worker alone has no store, and not the whole configuration."""
        if self.roles.coordinator:
            yield Check("configuration", "promotion.yml", self._see_configuration, "Mend promotion.yml.")
            yield from self._source_checks()
            if self._is_configured():
                yield Check("configuration", "files", self._see_files, "Correct the files, then deploy the app.")
                yield from region_checks(self.configuration(), self.roles.environments, self.workspace)
                yield from batch_checks(self.configuration(), self.roles.environments, self.workspace, self._folder_of)
            yield Check("store", "promotions", self._write, "Create the store, and let the app write to it.")
            yield Check("topic", "notifications", self._see_topic, "See the settings MLPROMOTE_TOPIC_….")
        yield Check("sign-in", "Microsoft Entra ID", self._see_sign_in, "See the settings MLPROMOTE_SIGN_IN_….")
        # The coordinator reads the dead letters of every queue and puts them back.
        every = all_queues(self.environments) if self.roles.coordinator else []
        read = every or list(map(steps_queue, self.roles.environments))
        written = every or list(map(reports_queue, self.roles.environments))
        for name in dict.fromkeys([*read, *written]):
            look = partial(self._see_queue, name, name in read, name in written)
            yield Check("queue", name, look, "See the setting ServiceBus.")
        sources = self._known_sources()
        for name in self.roles.environments:
            yield from EnvironmentChecks(
                name,
                name in sources,
                partial(self._doings, name),
                partial(self.workspace, name),
                partial(self.policy, name),
                partial(self.rules, name),
            ).checks()

    def _known_sources(self) -> Sequence[str]:
        try:
            return self.sources()
        except ConfigurationFaults:  # reported by other checks
            return ()

    def _is_configured(self) -> bool:
        try:
            self.configuration()
        except ConfigurationFaults:
            return False
        return True

    def _source_checks(self) -> Iterator[Check]:
        """One for each source that publishes bundles."""
        try:
            states = self.states() if self._is_configured() else ()
        except Exception:  # noqa: BLE001  # the check of the configuration says what it is
            return
        for state in states:
            yield Check("source", state.name, partial(_see_source, state), "Publish a bundle that is right.")

    def _see_configuration(self) -> str:
        routes = self.configuration().routes.values()
        if fault := self.edit():
            raise fault
        return "; ".join(
            f"{route.name}: {' → '.join([route.source, *(stage.name for stage in route.stages)])}" for route in routes
        )

    def _see_files(self) -> str:
        from shared.config import named_files  # it needs pydantic and PyYAML: only when asked

        configuration = self.configuration()
        found = [] if self.states() else named_files.faults(configuration, self.folder)
        if found := found or list(self._refused_files(configuration)):
            raise ConfigurationFaults(self.folder, found)
        named = len(named_files.named(configuration))
        return "1 file, and what it names" if named == 1 else f"{named} files, and what they name"

    def _refused_files(self, configuration: "Configuration") -> Iterator[Fault]:
        """What the SDK finds in deployment files: by itself, without asking Azure."""
        for route in configuration.model_routes:
            for stage in route.stages:
                try:
                    kind = EndpointKind.BATCH if stage.is_batch else EndpointKind.ONLINE
                    workspace = self.workspace(stage.environment).with_endpoints(kind)
                    workspace.deployment_file(self._folder_of(route) / stage.deployment)
                except RejectedError as refusal:
                    yield Fault(f"{route.name}.{stage.name}", str(refusal))

    def _folder_of(self, route: "Route") -> Path:
        return self.bundle_folder(route.bundle) if route.bundle else self.folder

    def _see_sign_in(self) -> str:
        verifier = self.verifier()
        if verifier is not None:
            count, settings = verifier.keys.count(), verifier.settings
            keys = f"{count} {'key' if count == 1 else 'keys'}"
            return f"{settings.issuer} publishes {keys}; accepted audience: {settings.client_id}"
        if asking := self._asking_for_approval():
            raise PermissionError(
                f"sign-in is not configured, so nobody can give the approvals that {', '.join(asking)} require"
            )
        return "not configured: a function key allows only reading and starting"

    def _asking_for_approval(self) -> Sequence[str]:
        """Return the stages that require approval, as far as this app knows them."""
        if not self.roles.coordinator or not self._is_configured():
            return []
        routes = self.configuration().routes.values()
        return [f"{route.name}.{stage.name}" for route in routes for stage in route.stages if stage.approval]

    def _write(self) -> str:
        self.store().claim(NOBODY, "")
        return "can be written"

    def _see_topic(self) -> str | Seen:
        topic = self.topic()
        if topic is None:
            return "not set: changes are not published"
        topic.check()
        last = self.store().publishing()
        if last is None:
            return Seen(State.UNCHECKED, "reachable; not checked whether it accepts events: that would publish one")
        at = f"{last.at:%Y-%m-%d %H:%M} UTC"
        if last.trouble:
            raise TopicUnavailableError(f"publishing failed at {at}; the changes are kept and retried: {last.trouble}")
        return f"last published at {at}"

    def _see_queue(self, name: str, read: bool, written: bool) -> str | Seen:
        letters = self.dead_letters()
        if written:
            letters.check_sending(name)
        if not read:
            return "messages can be sent"
        dead = len(letters.peek(name, 1, MOST_DEAD_LETTERS))
        can = "messages can be sent and read" if written else "messages can be read"
        if not dead:
            return f"{can}, no dead letters"
        count = f"{dead} or more" if dead == MOST_DEAD_LETTERS else str(dead)
        noun = "dead letter" if dead == 1 else "dead letters"
        return Seen(State.WARNING, f"{can}, {count} {noun}", f"See why: mlpromote failures --queue {name}")

    def _doings(self, environment: str) -> Doings:
        """Return what steps do in an environment. An app that does not know the routes assumes that it deploys."""
        configuration = self._known_configuration()
        if configuration is None:
            return Doings([Capability.DEPLOY], possible=_IF_A_STAGE_ASKS)
        return Doings(_doings(configuration, environment))

    def _known_configuration(self) -> "Configuration | None":
        if not self.roles.coordinator:
            return self.worker_configuration()
        return self.configuration() if self._is_configured() else None


def _doings(configuration: "Configuration", environment: str) -> Sequence[Capability]:
    models = [(route, stage) for route in configuration.model_routes for stage in route.stages]
    pipelines = [(route, stage) for route in configuration.pipeline_routes for stage in route.stages]
    from_here = [(route, stage) for route, stage in models if route.source == environment]
    deployed = [stage for _, stage in models if stage.environment == environment]
    rollouts = [stage.rollout for stage in deployed if stage.rollout is not None]
    runs = [stage for _, stage in pipelines if stage.environment == environment]
    does = {
        Capability.SHARE: any(not configuration.is_at_home(route, stage) for route, stage in from_here)
        or any(route.source == environment for route, _ in pipelines),
        Capability.REGISTER: any(route.from_jobs for route, _ in from_here) or any(stage.register_as for stage in runs),
        Capability.DEPLOY: any(not stage.is_batch for stage in deployed),
        Capability.DEPLOY_BATCH: any(stage.is_batch for stage in deployed),
        Capability.INVOKE: any(stage.test is not None for stage in deployed),
        Capability.RUN: bool(runs) or any(stage.runs_jobs for stage in deployed),
        Capability.WATCH: any(each.analysis for each in rollouts),
        Capability.REPLAY: any(each.analysis and each.too_few == "replay" for each in rollouts),
    }
    return [doing for doing, needed in does.items() if needed]


def _see_source(state: "SourceState") -> str | Seen:
    if state.trouble:
        counts = f"bundle {state.publication.digest[:_SHOWN]} still counts" if state.publication else "nothing counts"
        raise ValueError(f"what was published last is not used, and {counts}: {state.trouble}")
    if state.publication is None:
        return Seen(State.WARNING, "has published nothing yet", f"Publish: mlpromote publish --source {state.name}")
    by, digest = state.publication.name, state.publication.digest[:_SHOWN]
    return (
        f"bundle {digest}, published by {by} at {state.publication.at:%Y-%m-%d %H:%M} UTC: {len(state.routes)} routes"
    )
