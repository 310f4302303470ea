"""The worker of an environment: runs one command and reports the result. It never touches the store.

Whose command it may run is decided where the command is received (`incoming.py`).
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from shared.config import Places
from shared.core import incoming
from shared.core.messages import (
    RECONCILE,
    FindRegistrations,
    ModelRegistered,
    NotRun,
    Outcome,
    RunStep,
    StepReported,
    relevant_tags,
)
from shared.core.queues import steps_queue
from shared.core.redaction import clean_outcome
from shared.ports import Bus, Workspace
from shared.telemetry.telemetry import Telemetry, fields
from shared.worker.order import Rules
from shared.worker.run import run_step

log = logging.getLogger("mlpromote")


class Worker:
    """May be used by several threads. `workspace_for` gives an environment's workspace; `folder` has the files that the
    configuration names; `clock` gives the time with its zone; `rules_for` gives an environment's rules."""

    def __init__(
        self,
        bus: Bus,
        places: Callable[[], Places],
        workspace_for: Callable[[str], Workspace],
        folder: Path,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        rules_for: Callable[[str], Rules],
    ) -> None:
        self._bus = bus
        self._places = places
        self._workspace_for = workspace_for
        self._folder = folder
        self._telemetry = telemetry
        self._clock = clock
        self._rules_for = rules_for

    def receive(self, environment: str, body: bytes, delivery: int = 1) -> None:
        """Work on one message of the queue `steps-<environment>`. Raises for one that does not belong there.

        `delivery` counts the deliveries of the message, from 1.
        """
        with self._telemetry.delivery(steps_queue(environment)):
            command = incoming.read_command(environment, body)
            if isinstance(command, RunStep):
                self.run(command, delivery)
            else:
                self.find_registrations(command)

    def run(self, command: RunStep, delivery: int) -> None:
        """Run the step once and report.

        `delivery` counts the message's deliveries from 1. Only the first acts: after it the lane may have gone on.
        """
        begun = time.monotonic()
        with self._telemetry.poll(command) as polled:
            outcome = self._outcome(command, delivery)
            polled(outcome)
            said = command.promotion, command.stage, command.step, type(outcome).__name__
            log.info("%s %s.%s: %s", *said, extra=fields(command))
        which = command.lane, command.promotion, command.stage, command.step, command.attempt, command.poll
        self._bus.send_reports(command.environment, [StepReported(*which, outcome, time.monotonic() - begun)])

    def _outcome(self, command: RunStep, delivery: int) -> Outcome:
        if delivery > 1:
            return NotRun(f"{command.step} was delivered {delivery} times: its worker crashed or could not report")
        # What others wrote, such as a container's log, goes no further than this with a secret in it.
        return clean_outcome(run_step(command, self._workspace_for, self._folder, self._clock, self._rules_for))

    def find_registrations(self, command: FindRegistrations) -> None:
        """Send the news of every model that was registered since the command's time."""
        workspace = self._places().environments[command.environment].workspace.id
        found = self._workspace_for(command.environment).models_since(command.since)
        news = [
            ModelRegistered(workspace, each.name, each.version, relevant_tags(each.tags, command.tags), RECONCILE)
            for each in found
        ]
        if news:
            self._bus.send_reports(command.environment, news)
