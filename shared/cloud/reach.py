"""Remembers whether the last calls could reach Service Bus.

While they cannot, every sender would wait for the SDK's retries and block one of the few threads that functions have,
until none is left for reads. So one caller tries, and the others are refused at once. Every few seconds one of them
tries again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusCommunicationError,
    ServiceBusConnectionError,
    ServiceBusServerBusyError,
)

from shared.ports import QueueUnavailableError

#: Pause between two attempts.
PAUSE_SECONDS = 2.0

AWAY = (ServiceBusConnectionError, ServiceBusCommunicationError, OperationTimeoutError, ServiceBusServerBusyError)


class Reach:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._lock = Lock()
        self._again_at: float | None = None  #: None while it can be reached
        self._why = ""

    def check(self) -> None:
        """Raise `QueueUnavailableError` at once if no attempt should be made now."""
        if self._again_at is not None and self._clock() < self._again_at:
            raise self._away()

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Make a call inside the block, unless another caller has just found Service Bus unreachable.

        Raises `QueueUnavailableError` if it is unreachable.
        """
        with self._lock:
            self.check()
            if self._again_at is not None:
                self._again_at = self._clock() + PAUSE_SECONDS  # the others wait for the result of this attempt
        try:
            yield
        except AWAY as fault:
            with self._lock:
                self._why = f"{type(fault).__name__}: {str(fault)[:300]}"
                self._again_at = self._clock() + PAUSE_SECONDS
            raise self._away() from fault
        else:
            self._again_at = None

    def _away(self) -> QueueUnavailableError:
        return QueueUnavailableError(f"Service Bus cannot be reached ({self._why})", retry_after=PAUSE_SECONDS)
