"""The log of the host and of its functions, on stderr: time, level, function and invocation, message.

A thread of its own writes, behind a bounded queue: a reader that does not keep up loses lines, and is told how many,
but never stops a function. Long messages are cut.
"""

import logging
import logging.handlers
import queue
import sys
from typing import TextIO

from localcloud.functions.runtime import current_invocation_id

#: The invocations that run now: invocation id to function name.
RUNNING: dict[str, str] = {}

LONGEST_MESSAGE = 16_000
MOST_WAITING = 10_000

# What the SDKs say of their connections is said once by whoever uses them here.
_QUIET = {
    "azure": logging.WARNING,
    "azure.servicebus": logging.CRITICAL,
    "azure.functions": logging.WARNING,
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
}

#: By the names that .NET, and so host.json, has for them.
LOG_LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 10,
}


class HostLog:
    """Replaces the root logger's handlers for as long as the host runs."""

    def __init__(self, level: str, stream: TextIO | None = None) -> None:
        """`level` is one of `LOG_LEVELS`; `stream` is stderr if not given."""
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
        self._handler = _BoundedHandler(waiting)
        writer = logging.StreamHandler(stream or sys.stderr)
        writer.setFormatter(_LineFormatter())
        self._listener = logging.handlers.QueueListener(waiting, writer)
        self._level = LOG_LEVELS[level]

    def start(self) -> None:
        """Takes over the root logger, and hushes the SDKs below it."""
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        root.addHandler(self._handler)
        root.setLevel(min(self._level, root.level) if root.level == logging.DEBUG else self._level)
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger("azure.functions").addFilter(_is_news)
        self._listener.start()

    def stop(self) -> None:
        """Writes what is waiting and ends the thread."""
        if self._handler.dropped:
            logging.getLogger("host.log").warning("%d lines were dropped: stderr was not read.", self._handler.dropped)
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()


class _BoundedHandler(logging.handlers.QueueHandler):
    """Gives each record its function and invocation while both can be told, and never waits."""

    def __init__(self, waiting: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(waiting)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        prepared: logging.LogRecord = super().prepare(record)
        invocation_id = current_invocation_id()
        if invocation_id is not None:
            prepared.name = f"{RUNNING.get(invocation_id, '?')} [{invocation_id}]"
        if len(prepared.message) > LONGEST_MESSAGE:
            prepared.msg = prepared.message = f"{prepared.message[:LONGEST_MESSAGE]} … (cut)"
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _LineFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"


def _is_news(record: logging.LogRecord) -> bool:
    """The host logs failed invocations itself, with the function's name."""
    return record.msg != "Native invocation failed"
