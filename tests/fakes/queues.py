"""The queues in memory: implements the ports `Bus` and `DeadLetters` for fast tests.

They behave like Service Bus where the app could go wrong: a message id that was seen is dropped, a dead letter stays
until it is moved, and the app may die between any two moves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from threading import Lock

from shared.cloud.dead_letters import replayed_id
from shared.core.message_bodies import encode
from shared.core.messages import Command, Event, News, Report, RunStep
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.ports import DeadLetter, QueueUnavailableError

BURIED = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


class Crash(BaseException):
    """The app dies here."""


@dataclass(frozen=True)
class Waiting:
    """A message in a queue."""

    message_id: str
    body: bytes
    not_before: datetime | None = None


@dataclass
class FakeQueues:
    """All queues. `moves_left`: how many dead letters can be moved before the app dies at the next."""

    queues: dict[str, list[Waiting]] = field(default_factory=dict)
    buried: dict[str, dict[int, DeadLetter]] = field(default_factory=dict)
    moves_left: int | None = None
    down: set[str] = field(default_factory=set)  #: queues that cannot be reached
    read_only: set[str] = field(default_factory=set)  #: queues that nothing may be sent to
    held: set[int] = field(default_factory=set)  #: numbers of dead letters that somebody else has
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    # --- Bus ---

    def check(self) -> None:
        return

    def send_events(self, events: Sequence[News]) -> None:
        for event in events:
            self.send(EVENTS_QUEUE, event.message_id, encode(event))

    def send_commands(self, commands: Sequence[Command]) -> None:
        for command in commands:
            at = command.not_before if isinstance(command, RunStep) else None
            self.send(steps_queue(command.environment), command.message_id, encode(command), at)

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        for report in reports:
            self.send(reports_queue(environment), report.message_id, encode(report))

    # --- DeadLetters ---

    def check_sending(self, queue: str) -> None:
        self._reach(queue)
        if queue in self.read_only:
            raise QueueUnavailableError(f"Nothing may be sent to {queue}.")

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        self._reach(queue)
        letters = self.buried.get(queue, {})
        return [letters[number] for number in sorted(letters) if number >= start][:most]

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        self._reach(queue)
        letters = self.buried.get(queue, {})
        chosen = sorted(letters.keys() & set(numbers) - self.held)
        for number in chosen:
            letter = letters[number]
            self.send(queue, replayed_id(letter.message_id, number), letter.body)
            if self.moves_left is not None:
                self.moves_left -= 1
                if self.moves_left < 0:
                    raise Crash
            del letters[number]
        return chosen

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        self._reach(queue)
        letters = self.buried.get(queue, {})
        chosen = sorted(letters.keys() & set(numbers) - self.held)
        for number in chosen:
            del letters[number]
        return chosen

    # --- for tests ---

    def bury(
        self,
        queue: str,
        message: Command | Event | bytes,
        reason: str = "MaxDeliveryCountExceeded",
        description: str = "",
        deliveries: int = 10,
        message_id: str = "unreadable",
    ) -> str:
        """Add a message to the dead letters of a queue. Return the id of its failure. `message_id` is for bytes:
        messages have their own.
        """
        body = message if isinstance(message, bytes) else encode(message)
        known_id = message_id if isinstance(message, bytes) else message.message_id
        number = next(self._numbers)
        letter = DeadLetter(queue, number, known_id, body, reason, description, deliveries, BURIED)
        self.buried.setdefault(queue, {})[number] = letter
        return f"{queue}:{number}"

    def send(self, queue: str, message_id: str, body: bytes, not_before: datetime | None = None) -> None:
        """Accept a message unless its id was seen before."""
        with self._lock:
            if (queue, message_id) not in self._seen:
                self._seen.add((queue, message_id))
                self.queues.setdefault(queue, []).append(Waiting(message_id, body, not_before))

    def _reach(self, queue: str) -> None:
        if queue in self.down:
            raise QueueUnavailableError(f"The dead letters of {queue} are out of reach.")
