"""Live figures minute by minute, in memory: implements the `LiveSeries` port."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.live_minute import LiveMinute
from shared.ports import LiveSeries
from shared.ports.series import KEPT


@dataclass
class FakeSeries:
    """State that tests look at directly."""

    minutes: dict[tuple[str, str], dict[tuple[datetime, str], LiveMinute]] = field(default_factory=dict)

    def keep(self, promotion: str, stage: str, minutes: Sequence[LiveMinute]) -> None:
        if not minutes:
            return
        there = self.minutes.setdefault((promotion, stage), {})
        there.update({(each.at, each.deployment): each for each in minutes})
        newest = max(at for at, _ in there)
        self.minutes[promotion, stage] = {key: each for key, each in there.items() if key[0] > newest - KEPT}

    def read(self, promotion: str) -> Mapping[str, Sequence[LiveMinute]]:
        stages = sorted(stage for known, stage in self.minutes if known == promotion)
        found = {stage: self.minutes[promotion, stage] for stage in stages}
        return {stage: [minutes[key] for key in sorted(minutes)] for stage, minutes in found.items()}


_: type[LiveSeries] = FakeSeries  # lets the type checker prove that it implements the port
