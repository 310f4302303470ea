"""Runs one command of an environment and reports the result. Never touches the store.

`incoming.py` decides which commands a worker accepts.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from shared.config import Places, patterns
from shared.core import incoming
from shared.core.asset_names import registry_id
from shared.core.live_minute import LiveMinute
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
from shared.worker.run import Workplace, run_step

log = logging.getLogger("mlpromote")


class WorkerParts(Protocol):
    """What the worker depends on. Each part is built on first use, so a wrong setting shows up only then."""

    @property
    def bus(self) -> Bus: ...
    @property
    def places(self) -> Places: ...
    @property
    def folder(self) -> Path:
        """The folder of the files that the configuration names."""

    def bundle_folder(self, digest: str) -> Path:
        """The folder of a bundle's files. Raises `RejectedError`; `StoreUnavailableError` if it cannot be read now."""

    def workspace(self, environment: str) -> Workspace: ...
    def rules(self, environment: str) -> Rules: ...


class Worker:
    """Thread-safe. `clock` returns the time with its zone."""

    def __init__(self, parts: WorkerParts, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._parts = parts
        self._telemetry = telemetry
        self._clock = clock

    def receive(self, environment: str, body: bytes, delivery: int = 1) -> None:
        """Process one message of the queue `steps-<environment>`. Raises for one that does not belong there.

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

        `delivery` counts the message's deliveries from 1. Only the first acts: the lane may have moved on since.
        """
        begun = time.monotonic()
        with self._telemetry.poll(command) as polled:
            minutes: list[LiveMinute] = []
            outcome = self._outcome(command, delivery, minutes)
            polled(outcome)
            said = command.promotion, command.stage, command.step, type(outcome).__name__
            log.info("%s %s.%s: %s", *said, extra=fields(command))
        which = command.lane, command.promotion, command.stage, command.step, command.attempt, command.poll
        report = StepReported(*which, outcome, time.monotonic() - begun, tuple(minutes))
        self._parts.bus.send_reports(command.environment, [report])

    def _outcome(self, command: RunStep, delivery: int, minutes: list[LiveMinute]) -> Outcome:
        """The outcome of one poll; the live figures that it saw are added to `minutes`."""
        if delivery > 1:
            return NotRun(f"{command.step} was delivered {delivery} times: its worker crashed or could not report")
        # Texts that others wrote, such as a container's log, must not leave here with a secret in them.
        parts = self._parts
        at = Workplace(parts.workspace, parts.rules, parts.folder, self._clock, parts.bundle_folder, minutes.extend)
        return clean_outcome(run_step(command, at))

    def find_registrations(self, command: FindRegistrations) -> None:
        """Report every model that was registered since the command's time."""
        if command.in_registry is None:
            where = self._parts.places.environments[command.environment].workspace.id
            found = self._parts.workspace(command.environment).models_since(command.since)
        else:
            where = registry_id(self._parts.places.registry)
            workspace = self._parts.workspace(command.environment)
            found = workspace.registry_models_since(command.since, partial(patterns.matches, command.in_registry))
        news = [
            ModelRegistered(where, each.name, each.version, relevant_tags(each.tags, command.tags), RECONCILE)
            for each in found
            if command.in_registry is None or each.origin is None  # copies were shared there, not registered
        ]
        if news:
            self._parts.bus.send_reports(command.environment, news)
