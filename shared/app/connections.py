"""What the app is connected to: its store, its queues, its storage, and where it reports."""

from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from shared.app.made_once import made_once
from shared.config.app_settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.cloud.bus import ServiceBus
    from shared.cloud.reach import Reach
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
    )
    from shared.telemetry.telemetry import Telemetry


def now() -> datetime:
    return datetime.now(UTC)


class Connections:
    """The connections of one function process. `variables` are its environment variables."""

    def __init__(self, variables: "Mapping[str, str]") -> None:
        self._variables = variables
        self.settings = AppSettings.read(variables)
        self.making = RLock()

    @made_once
    def store(self) -> "Store":
        from shared.cloud import stores

        return stores.connect(self.settings)

    @made_once
    def bus(self) -> "Bus":
        bus: Bus = self._service_bus
        return bus

    @made_once
    def postponing(self) -> "Postponing":
        """Postpones messages that cannot be processed now."""
        bus: Postponing = self._service_bus
        return bus

    @made_once
    def _service_bus(self) -> "ServiceBus":
        from shared.cloud import bus

        return bus.connect(self.settings, self.reach)

    @made_once
    def dead_letters(self) -> "DeadLetters":
        """The dead letters of the queues."""
        from shared.cloud import bus, dead_letters

        return dead_letters.ServiceBusDeadLetters(bus.client(self.settings), self.reach)

    @made_once
    def discarded(self) -> "DiscardedLetters":
        """The dead letters that people have discarded."""
        from shared.cloud import stores

        return stores.connect_discarded(self.settings)

    @made_once
    def reach(self) -> "Reach":
        """Whether Service Bus can be reached, shared by all parts."""
        from shared.cloud.reach import Reach

        return Reach()

    @made_once
    def topic(self) -> "Topic | None":
        """The topic for changes; None if none is configured."""
        if not self.settings.topic_endpoint:
            return None
        from shared.cloud import topic
        from shared.ports import Publishing

        return topic.connect(self.settings, lambda trouble: self.store.keep_publishing(Publishing(now(), trouble)))

    @made_once
    def telemetry(self) -> "Telemetry":
        """Records what happens, if the settings say where."""
        if self.settings.is_observed:
            from shared.cloud import monitor

            return monitor.connect(self.settings)
        from shared.telemetry.telemetry import Telemetry

        return Telemetry()

    @made_once
    def bundles(self) -> "Bundles":
        """Where bundles are published."""
        from shared.cloud import stores

        return stores.connect_bundles(self.settings)

    @made_once
    def series(self) -> "LiveSeries":
        """The live figures that workers reported."""
        from shared.cloud import stores

        return stores.connect_series(self.settings)

    @made_once
    def approvals(self) -> "Approvals":
        """The approval requests of this app's environments, and people's decisions, in the app's own storage."""
        from shared.cloud import stores

        return stores.connect_approvals(self.settings)

    def is_unavailable(self, fault: Exception) -> bool:
        """Whether an error means that the store cannot be used now."""
        from shared.cloud import stores

        return stores.is_unavailable(fault)
