"""The port of the live figures that are kept minute by minute, apart from lanes."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from shared.core.live_minute import LiveMinute

#: Of each stage of a promotion, figures of the last day are kept.
KEPT = timedelta(hours=24)


class LiveSeries(Protocol):
    """The minutes that workers reported, by promotion and stage."""

    def keep(self, promotion: str, stage: str, minutes: Sequence[LiveMinute]) -> None:
        """Store minutes. The same minute of the same deployment once more replaces the first."""

    def read(self, promotion: str) -> Mapping[str, Sequence[LiveMinute]]:
        """By stage: the minutes of its last day, the oldest first, then by deployment."""
