"""Live figures and recorded requests, in memory: implements the port `LiveFiguresReader` for fast tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.ports import LiveFigures, Minute, RecordedRequest, Recording
from tests.fakes.work import FakeWork


@dataclass(kw_only=True)
class FakeLiveFigures(FakeWork):
    """State that tests set up and look at directly."""

    grain: timedelta = timedelta(minutes=1)
    minutes: dict[tuple[str, str], list[Minute]] = field(default_factory=dict)  #: by endpoint and deployment
    recorded: dict[tuple[str, str], list[RecordedRequest]] = field(default_factory=dict)

    # --- to set up ---

    def has_minutes(
        self,
        endpoint: str,
        deployment: str,
        first: datetime,
        number: int,
        answers: Mapping[int, float] | None = None,
        **figures: float,
    ) -> None:
        """The same figures for a number of minutes."""
        there = self.minutes.setdefault((endpoint, deployment), [])
        for each in range(number):
            there.append(Minute(first + each * self.grain, dict(answers or {}), **figures))

    # --- the port ---

    def live_figures(
        self, endpoint: str, deployment: str, since: datetime, until: datetime, resources: bool
    ) -> LiveFigures:
        self._called("live_figures")
        there = sorted(self.minutes.get((endpoint, deployment), []), key=lambda each: each.at)
        found = [each for each in there if since - self.grain < each.at < until]
        shown = found if resources else [_without_resources(each) for each in found]
        return LiveFigures([each for each in shown if each != Minute(each.at)], self.grain)

    def recorded_requests(self, endpoint: str, deployment: str, until: datetime, most: int) -> Recording:
        self._called("recorded_requests")
        there = sorted(self.recorded.get((endpoint, deployment), []), key=lambda each: each.at)
        return Recording([each for each in there if each.at < until][-most:])


def _without_resources(minute: Minute) -> Minute:
    return Minute(minute.at, minute.answers, minute.latency_p50, minute.latency_p95, minute.latency_p99)
