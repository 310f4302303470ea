"""Lanes that the coordinator decides about, driven by the commands that it has sent."""

from collections.abc import Sequence

from shared.coordinator.lanes import Lanes
from shared.core.events import LaneEvent
from shared.core.messages import Command, RunStep
from shared.core.promotion import Lane
from tests.core.driver import Answers, LaneDriver, success
from tests.core.world import KEY


class SentCommands(LaneDriver):
    """Removes the commands from the list as it answers them, whatever lane they belong to."""

    def __init__(self, lanes: Lanes, sent: list[Command], answers: Answers = success) -> None:
        super().__init__(Lane(KEY), answers)
        self._lanes = lanes
        self._sent = sent

    def in_flight(self) -> Sequence[RunStep]:
        if not self._sent:
            return ()
        command = self._sent.pop(0)
        assert isinstance(command, RunStep), "only steps have an answer here"
        return (command,)

    def apply(self, event: LaneEvent) -> None:
        self.lane = self._lanes.apply(event).lane
