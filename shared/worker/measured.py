"""A step's answer together with live figures that it saw."""

from dataclasses import dataclass

from shared.core.live_minute import LiveMinute
from shared.core.messages import Outcome


@dataclass(frozen=True)
class Measured:
    """The answer of a step that watches live figures. The figures are reported with it and kept apart from the lane."""

    outcome: Outcome
    minutes: tuple[LiveMinute, ...] = ()
