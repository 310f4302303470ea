"""What requests about failures work on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.coordinator.lanes import Lanes
from shared.ports import DeadLetters, Store


@dataclass(frozen=True)
class FailureSources:
    """Where failures are found, and what answers them."""

    store: Store
    lanes: Lanes
    dead_letters: DeadLetters
    clock: Callable[[], datetime]  #: the time with its zone
