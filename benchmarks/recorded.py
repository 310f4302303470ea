"""Records the messages of promotions by running the app without a broker."""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.at_once import AtOnceApp, registration
from shared.cloud import stores
from shared.core.message_bodies import encode
from shared.core.messages import Command, Event, News, Report
from shared.core.queues import EVENTS_QUEUE, environment_of, reports_queue, steps_queue
from shared.ports import Bus

#: A message: its `queue`, `body`, `message_id` and `subject`.
Recorded = dict[str, str]

_MOST = 1000  # messages of one promotion


class _Recorder:
    """The `Bus` port; stores what is sent."""

    def __init__(self) -> None:
        self.sent: deque[Recorded] = deque()

    def check(self) -> None:
        return

    def send_events(self, events: Sequence[News]) -> None:
        self.sent.extend(_recorded(EVENTS_QUEUE, event) for event in events)

    def send_commands(self, commands: Sequence[Command]) -> None:
        self.sent.extend(_recorded(steps_queue(command.environment), command) for command in commands)

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        self.sent.extend(_recorded(reports_queue(environment), report) for report in reports)


def _recorded(queue: str, message: Command | Event) -> Recorded:
    return {
        "queue": queue,
        "body": encode(message).decode(),
        "message_id": message.message_id,
        "subject": type(message).__name__,
    }


class _RecordingApp(AtOnceApp):
    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self.recorder = _Recorder()

    @property
    def bus(self) -> Bus:
        return self.recorder


def chains(settings: Mapping[str, str], store: Path, models: Sequence[str]) -> list[list[Recorded]]:
    """The messages of each model's promotion, each of which causes the next."""
    app = _RecordingApp({**settings, stores.FILE: str(store)})
    app.expect(models)
    found = []
    for model in models:
        app.bus.send_events([registration(app.configuration, model)])
        chain: list[Recorded] = []
        while app.recorder.sent and len(chain) < _MOST:
            chain.append(app.recorder.sent.popleft())
            _deliver(app, chain[-1]["queue"], chain[-1]["body"].encode())
        found.append(chain)
    return found


def _deliver(app: AtOnceApp, queue: str, body: bytes) -> None:
    environment = environment_of(queue)
    if environment is None:
        app.coordinator.advance(body)
    elif queue == steps_queue(environment):
        app.worker.receive(environment, body)
    else:
        app.coordinator.take_report(environment, body)
