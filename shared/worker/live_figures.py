"""Which minutes of live figures count, and what they come to. Pure.

Only complete minutes count: those that lie within the step and are older than the metrics' delay. So smoke requests
before a step, and requests that the app replays after it, are not among them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.core.live_minute import LiveMinute
from shared.core.wire import Moment
from shared.ports import LiveFigures, Minute

#: What is judged are the last minutes, so that hours of good figures do not hide a breach. They reach further back
#: where they have too few requests.
JUDGED = timedelta(minutes=30)
#: No figures are read from before that.
LONGEST = timedelta(hours=24)

#: The status by which Azure ML says that the model's container answered with an error.
FAILED_BY_MODEL = 424


@dataclass(frozen=True)
class Summary:
    """The figures of one deployment over some minutes. None: none of the minutes has a value."""

    deployment: str
    since: Moment
    until: Moment
    requests: float = 0.0
    errors: float = 0.0  #: those that the model is to blame for: 5xx and 424
    error_rate: float | None = None
    #: Milliseconds. The mean of the minutes' quantiles, weighted with their requests: Azure has no quantile of more
    #: than a minute.
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None
    cpu: float | None = None  #: per cent
    memory: float | None = None  #: per cent

    def figure(self, metric: str) -> float | None:
        """The value of a metric by its name in the configuration."""
        value: float | None = getattr(self, metric)
        return value


@dataclass(frozen=True)
class Window:
    """Minutes from `since` to `until`."""

    since: Moment
    until: Moment

    def of(self, figures: LiveFigures) -> LiveFigures:
        """The minutes that lie in it completely."""
        inside = [each for each in figures.minutes if each.at >= self.since and each.at + figures.grain <= self.until]
        return LiveFigures(inside, figures.grain)

    def judged(self, candidate: LiveFigures, min_requests: int) -> "Window":
        """Its last part, with enough requests of the candidate if the whole has enough."""
        since = max(self.since, self.until - JUDGED)
        if since == self.since:
            return self
        found = 0.0
        for minute in reversed(self.of(candidate).minutes):
            if minute.at < since and found >= min_requests:
                break
            found += requests(minute)
            since = min(since, minute.at)
        return Window(since, self.until)


def requests(minute: Minute) -> float:
    return sum(minute.answers.values())


def errors(minute: Minute) -> float:
    """The answers that the model is to blame for. Other statuses of 4xx are the callers'."""
    return sum(number for status, number in minute.answers.items() if status >= 500 or status == FAILED_BY_MODEL)


def summary(deployment: str, figures: LiveFigures, window: Window) -> Summary:
    """The figures of the minutes in the window."""
    minutes = window.of(figures).minutes
    asked = sum(map(requests, minutes))
    failed = sum(map(errors, minutes))
    return Summary(
        deployment,
        window.since,
        window.until,
        asked,
        failed,
        failed / asked if asked else None,
        *(_mean(minutes, read, requests) for read in (_p50, _p95, _p99)),
        *(_mean(minutes, read, _equally) for read in (_cpu, _memory)),
    )


def kept(deployment: str, minute: Minute) -> LiveMinute:
    """A minute in the form that is kept and drawn."""
    has_answers = bool(minute.answers)
    return LiveMinute(
        deployment,
        minute.at,
        requests(minute) if has_answers else None,
        errors(minute) if has_answers else None,
        minute.latency_p50,
        minute.latency_p95,
        minute.latency_p99,
        minute.cpu,
        minute.memory,
    )


_Read = Callable[[Minute], float | None]


def _mean(minutes: Sequence[Minute], read: _Read, weight: Callable[[Minute], float]) -> float | None:
    found = [(value, weight(each)) for each in minutes if (value := read(each)) is not None]
    total = sum(each for _, each in found)
    return sum(value * each for value, each in found) / total if total else None


def _equally(_: Minute) -> float:
    return 1.0


def _p50(minute: Minute) -> float | None:
    return minute.latency_p50


def _p95(minute: Minute) -> float | None:
    return minute.latency_p95


def _p99(minute: Minute) -> float | None:
    return minute.latency_p99


def _cpu(minute: Minute) -> float | None:
    return minute.cpu


def _memory(minute: Minute) -> float | None:
    return minute.memory
