"""Whether Service Bus can be reached, as the last calls found it.

While it cannot, whoever wants to send would wait for what the SDK tries, each holding one of the few threads that
functions have, until there is none left for those who only read. So one caller finds out, the others are refused at
once, and every few seconds one of them tries again.
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

#: Between two tries.
PAUSE_SECONDS = 2.0

AWAY = (ServiceBusConnectionError, ServiceBusCommunicationError, OperationTimeoutError, ServiceBusServerBusyError)


class Reach:
    """May be used by several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only grow."""
        self._clock = clock
        self._lock = Lock()
        self._again_at: float | None = None  #: None while it can be reached
        self._why = ""

    def check(self) -> None:
        """Raises `QueueUnavailableError` at once where nobody is to try now."""
        if self._again_at is not None and self._clock() < self._again_at:
            raise self._away()

    @contextmanager
    def tried(self) -> Iterator[None]:
        """A call is made inside the block, unless somebody else found Service Bus out of reach just now.

        Raises `QueueUnavailableError` if it is.
        """
        with self._lock:
            self.check()
            if self._again_at is not None:
                self._again_at = self._clock() + PAUSE_SECONDS  # the others wait for what comes of this try
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
        return QueueUnavailableError(f"Service Bus is out of reach just now ({self._why})", retry_after=PAUSE_SECONDS)
