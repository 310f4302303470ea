"""HTTP requests about live figures."""

from typing import Any

from msgspec.structs import asdict

from shared.core.live_minute import LiveMinute
from shared.http import refusals
from shared.ports import LiveSeries, Store


class SeriesRequests:
    """Answers requests. Thread-safe."""

    def __init__(self, store: Store, series: LiveSeries) -> None:
        self._store = store
        self._series = series

    def of(self, promotion: str) -> dict[str, Any]:
        """Return the live figures of a promotion, by stage, minute by minute."""
        if self._store.promotion(promotion) is None:
            raise refusals.NotThereError(f"There is no promotion {promotion[:100]}.", {"see": "/api/promotions"})
        found = self._series.read(promotion)
        stages = [{"name": name, "minutes": [_shown(each) for each in minutes]} for name, minutes in found.items()]
        return {"promotion": promotion, "stages": stages}


def _shown(minute: LiveMinute) -> dict[str, Any]:
    """A minute, without the figures that it has no value of."""
    figures = {name: value for name, value in asdict(minute).items() if value is not None}
    return {**figures, "at": minute.at.isoformat()}
