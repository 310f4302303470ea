"""The messages of promotions, as the app sends them: taken down by running it without a broker."""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.at_once import AtOnceApp, registration
from shared.cloud import stores
from shared.core.messages import Command, Event, encode
from shared.ports import Bus
from shared.queues import EVENTS_QUEUE, steps_queue

#: A message: its `queue`, `body`, `message_id` and `subject`.
Recorded = dict[str, str]

_MOST = 1000  # messages of one promotion


class _Recorder:
    """The `Bus` port; keeps what is sent."""

    def __init__(self) -> None:
        self.sent: deque[Recorded] = deque()

    def send_events(self, events: Sequence[Event]) -> None:
        self.sent.extend(_recorded(EVENTS_QUEUE, event) for event in events)

    def send_commands(self, commands: Sequence[Command]) -> None:
        self.sent.extend(_recorded(steps_queue(command.environment), command) for command in commands)


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
    """For each model the messages of its promotion, each of which brings about the next one."""
    app = _RecordingApp({**settings, stores.FILE: str(store)})
    app.expect(models)
    found = []
    for model in models:
        app.bus.send_events([registration(app.configuration, model)])
        chain: list[Recorded] = []
        while app.recorder.sent and len(chain) < _MOST:
            chain.append(app.recorder.sent.popleft())
            body = chain[-1]["body"].encode()
            if chain[-1]["queue"] == EVENTS_QUEUE:
                app.advance(body)
            else:
                app.work(chain[-1]["queue"].removeprefix(steps_queue("")), body)
        found.append(chain)
    return found
