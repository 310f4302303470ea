"""The log of the host and of its functions, on stderr: time, level, function and invocation, message.

A separate thread writes what has gathered. A reader that does not keep up loses lines and is told how many, but never
stops a function. Nothing wakes the thread: that would cost more than all other work on a line. Long messages are cut.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from functools import lru_cache
from typing import NamedTuple, TextIO

from localcloud.functions.log_levels import LogLevels
from localcloud.functions.runtime import current_invocation_id

#: The invocations that run now: invocation id to function name.
RUNNING: dict[str, str] = {}

LONGEST_MESSAGE = 16_000
MOST_WAITING = 10_000
#: Seconds between two writes of what has gathered.
_PAUSE = 0.05

#: The parent of all loggers of the host.
_OWN = "host"

# The code that uses the SDKs logs connection problems itself, once.
_QUIET = {
    "azure": logging.WARNING,
    "azure.servicebus": logging.CRITICAL,
    "azure.functions": logging.WARNING,
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
}

#: An app setting. Without it nothing below INFO leaves Azure's Python worker, whatever host.json says.
DEBUG_SETTING = "PYTHON_ENABLE_DEBUG_LOGGING"
_TRUE = ("1", "true", "t", "yes", "y")


class HostLog:
    """Replaces the root logger's handlers for as long as the host runs."""

    def __init__(self, levels: LogLevels, stream: TextIO | None = None) -> None:
        """`stream` is stderr if not given."""
        self._levels = levels
        self._handler = _GatheringHandler(levels)
        self._writer = threading.Thread(target=self._write_until_stopped, name="log", daemon=True)
        self._stream = stream or sys.stderr
        self._stopped = threading.Event()

    def start(self) -> None:
        """Takes over the root logger, quiets the SDKs below it, and makes the host's loggers independent of it."""
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        root.addHandler(self._handler)
        own = logging.getLogger(_OWN)
        own.addHandler(self._handler)
        own.setLevel(self._levels.lowest)
        own.propagate = False
        # As in Azure's Python worker. An app may change it; the handler then filters as Azure's host does.
        root.setLevel(logging.DEBUG if os.environ.get(DEBUG_SETTING, "").lower() in _TRUE else logging.INFO)
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger("azure.functions").addFilter(_is_news)
        self._writer.start()

    def own_again(self) -> None:
        """Turns the host's loggers on again: `logging.config` in an app disables every existing logger."""
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if isinstance(logger, logging.Logger) and f"{name}.".startswith(f"{_OWN}."):
                logger.disabled = False

    def stop(self) -> None:
        """Writes what is waiting and ends the thread."""
        if self._handler.dropped:
            logging.getLogger("host.log").warning("%d lines were dropped: stderr was not read.", self._handler.dropped)
        for name in (None, _OWN):
            logging.getLogger(name).removeHandler(self._handler)
        self._stopped.set()
        self._writer.join()

    def _write_until_stopped(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stopped.wait(_PAUSE)
            lines = [f"{line}\n" for line in self._handler.taken()]
            if not lines:
                continue
            with contextlib.suppress(OSError, ValueError):  # nobody reads, or the stream is closed; functions continue
                self._stream.write("".join(lines))
                self._stream.flush()


class _Line(NamedTuple):
    created: float  #: seconds since 1970
    level: str
    source: str  #: the function and its invocation, or the logger
    message: str

    def __str__(self) -> str:
        milliseconds = int(self.created % 1 * 1000)
        return f"{_second(int(self.created))}.{milliseconds:03} {self.level:<7} {self.source}: {self.message}"


@lru_cache(maxsize=16)  # many lines have the same
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since_1970))


class _GatheringHandler(logging.Handler):
    """Makes a line of each record while function and invocation are known, and keeps it until it is written."""

    def __init__(self, levels: LogLevels) -> None:
        super().__init__()
        self._waiting: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        self._levels = levels
        self.dropped = 0

    def taken(self) -> list[_Line]:
        return [self._waiting.get() for _ in range(self._waiting.qsize())]

    def emit(self, record: logging.LogRecord) -> None:
        invocation_id = current_invocation_id()
        if record.levelno < self._levels.least(_category(record, invocation_id)):
            return
        if self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - a record with the wrong arguments must not stop a function
            self.handleError(record)
            return
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[:LONGEST_MESSAGE]} … (cut)"
        source = record.name if invocation_id is None else f"{RUNNING.get(invocation_id, '?')} [{invocation_id}]"
        self._waiting.put(_Line(record.created, record.levelname, source, message))


def _category(record: logging.LogRecord, invocation_id: str | None) -> str:
    """Of `LogLevels`; a record of the host's own may bring it along."""
    category: str | None = getattr(record, "category", None)
    if category is not None:
        return category
    if record.name == _OWN or record.name.startswith(f"{_OWN}."):
        return record.name
    return "" if invocation_id is None else f"Function.{RUNNING.get(invocation_id, '?')}.User"


def _is_news(record: logging.LogRecord) -> bool:
    """The host logs failed invocations itself, with the function's name."""
    return record.msg != "Native invocation failed"
