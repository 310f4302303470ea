"""Wires the parts together: the only place that knows all of them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.app.configured import Configured
from shared.app.connections import now
from shared.app.indexing import environments, sign_in_is_required
from shared.app.made_once import made_once

if TYPE_CHECKING:
    from shared.coordinator.coordinator import Coordinator
    from shared.coordinator.holding import Holding
    from shared.coordinator.lanes import Lanes
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
    from shared.worker.worker import Worker


class App(Configured):
    """The app in one function process."""

    @made_once
    def coordinator(self) -> "Coordinator":
        """Handles events."""
        from shared.coordinator.coordinator import Coordinator

        return Coordinator(self, self.telemetry, now)

    @made_once
    def lanes(self) -> "Lanes":
        from shared.coordinator.lanes import Lanes

        return Lanes(self.store, self.bus, now, self.topic, self.telemetry)

    @made_once
    def holding(self) -> "Holding":
        """Sets and releases the holds of operators."""
        from shared.coordinator.holding import Holding

        return Holding(self.store, self.lanes, now, self.topic)

    @made_once
    def worker(self) -> "Worker":
        """Runs commands."""
        from shared.worker.worker import Worker

        return Worker(self, self.telemetry, now)

    @made_once
    def approval_requests(self) -> "ApprovalRequests":
        """HTTP requests to environments that take their approvals themselves."""
        from shared.http.approval_requests import ApprovalRequests

        return ApprovalRequests(self.approvals, self._policy, now)

    @made_once
    def requests(self) -> "Requests":
        """HTTP requests about promotions and lanes."""
        from shared.http.requests import Requests

        folder = Path(self.settings.traces) if self.settings.traces else None
        return Requests(self.store, self.lanes, self, now, folder, self._renewed)

    @made_once
    def plans(self) -> "Plans":
        """What would happen to a version."""
        from shared.http.planning import Plans

        return Plans(self.store, lambda: self.newest_configuration, now, lambda command: self.look(command))

    def look(self, command: "RunStep") -> "Outcome | None":
        """One poll of a step that only reads, outside of any promotion; None if its worker runs in another app."""
        from shared.core.redaction import clean_outcome
        from shared.worker.run import Workplace, run_step

        if command.environment not in self.roles.environments:
            return None
        at = Workplace(self.workspace, self.rules, self.folder, now, self.bundle_folder)
        return clean_outcome(run_step(command, at))

    @made_once
    def hold_requests(self) -> "HoldRequests":
        """HTTP requests about holds."""
        from shared.http.hold_requests import HoldRequests

        return HoldRequests(self.store, self.lanes, self.holding, lambda: self.newest_configuration, now)

    @made_once
    def series_requests(self) -> "SeriesRequests":
        """HTTP requests about live figures."""
        from shared.http.series_requests import SeriesRequests

        return SeriesRequests(self.store, self.series)

    @made_once
    def lineage(self) -> "LineageRequests":
        """What people ask over HTTP of where things came from."""
        from shared.http.lineage_requests import LineageRequests

        return LineageRequests(self.store, lambda: self.configuration)

    @made_once
    def verifier(self) -> "Verifier | None":
        """Verifies tokens; None if no tokens are accepted. Raises `SignInSettingsError` with every fault."""
        from shared.cloud.signing_keys import SigningKeys, fetch
        from shared.config import sign_in
        from shared.http.sign_in import Verifier

        settings = sign_in.read(self.settings)
        return Verifier(settings, SigningKeys(partial(fetch, settings))) if settings else None

    @made_once
    def authorisation(self) -> "Authorisation":
        """Who may do what over HTTP."""
        from shared.http.authorisation import Authorisation

        return Authorisation(sign_in_is_required(self._variables), lambda: self.verifier)

    @made_once
    def failures(self) -> "FailureRequests":
        """HTTP requests about failures."""
        from shared.coordinator.failures.sources import FailureSources
        from shared.http.failure_requests import FailureRequests

        sources = FailureSources(self.store, self.lanes, self.dead_letters, now)
        return FailureRequests(sources, lambda: self.configuration, lambda: self.discarded, self._renewed)

    def _renewed(self, promotion: "Promotion") -> "Renewed | None":
        """The newest bundle for a promotion that is retried."""
        from shared.coordinator.renewal import renewed

        if not self.is_platform:
            return None
        return renewed(promotion, self.newest_configuration, self.bundle_folder)

    @made_once
    def publishing(self) -> "PublishingRequests":
        """HTTP requests about sources, and publishing."""
        from shared.http.publishing import PublishingRequests

        return PublishingRequests(
            lambda: self.platform if self.is_platform else None,
            lambda: self.published,
            lambda: self.bundles,
            self.bundle_folder,
            now,
        )

    @made_once
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
