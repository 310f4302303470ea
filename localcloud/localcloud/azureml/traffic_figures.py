"""What the endpoints' traffic was: requests and latencies by deployment and minute, as metrics are made from them.

A request counts some seconds after it was answered, as Azure's metrics come with a delay. What counts is written to the
database every few seconds, so that memory holds only what is new; figures older than `KEPT_MINUTES` are dropped.
"""

import json
import math
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from localcloud.azureml.store import Store

KEPT_MINUTES = 2880
#: Observations that may wait to be counted; beyond it the oldest count early.
_WAITING = 100_000
#: Latencies are kept in classes that differ by this factor, so a quantile is off by a percent at most.
_CLASS = math.log(1.02)
_SHORTEST = 0.01  # milliseconds


@dataclass(frozen=True)
class Answered:
    """A request that an endpoint has answered."""

    endpoint: str  #: ARM id
    deployment: str  #: empty if no deployment was found for it
    status: int
    model_status: int | None  #: what the model's container answered; None if it did not
    milliseconds: float
    size: int = 0  #: bytes of the request and of its answer


@dataclass(frozen=True)
class Measured:
    """A measurement of a deployment's container."""

    endpoint: str
    deployment: str
    name: str
    value: float


@dataclass
class Figures:
    """Those of one deployment in one minute."""

    #: By status and the model's status, which is empty if the model did not answer.
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: The number of latencies in each class, see `latency_of_class`.
    latencies: Counter[int] = field(default_factory=Counter)
    milliseconds: float = 0.0
    bytes: int = 0
    #: Sum and number of measurements, by name.
    measured: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, observation: Answered | Measured) -> None:
        if isinstance(observation, Measured):
            total, number = self.measured.get(observation.name, (0.0, 0))
            self.measured[observation.name] = (total + observation.value, number + 1)
            return
        model_status = "" if observation.model_status is None else str(observation.model_status)
        self.requests[str(observation.status), model_status] += 1
        if observation.deployment:
            self.latencies[round(math.log(max(observation.milliseconds, _SHORTEST)) / _CLASS)] += 1
            self.milliseconds += observation.milliseconds
        self.bytes += observation.size

    def merge(self, other: "Figures") -> None:
        self.requests += other.requests
        self.latencies += other.latencies
        self.milliseconds += other.milliseconds
        self.bytes += other.bytes
        for name, (total, number) in other.measured.items():
            so_far = self.measured.get(name, (0.0, 0))
            self.measured[name] = (so_far[0] + total, so_far[1] + number)

    def mean_latency(self) -> float | None:
        """Milliseconds; None without requests."""
        number = self.latencies.total()
        return self.milliseconds / number if number else None

    def latency(self, quantile: float) -> float | None:
        """The latency in milliseconds that this share of requests does not exceed; None without requests."""
        wanted, seen = quantile * self.latencies.total(), 0
        for one in sorted(self.latencies):
            seen += self.latencies[one]
            if seen >= wanted:
                return math.exp(one * _CLASS)
        return None

    def written(self) -> str:
        return json.dumps(
            {
                "requests": [[*key, number] for key, number in self.requests.items()],
                "latencies": [[key, number] for key, number in self.latencies.items()],
                "milliseconds": self.milliseconds,
                "bytes": self.bytes,
                "measured": self.measured,
            }
        )


@dataclass(frozen=True)
class Minute:
    """The figures of a deployment in the minute that begins at `start`, in seconds since the epoch."""

    deployment: str
    start: float
    figures: Figures


class TrafficFigures:
    """Those of all endpoints, by ARM id without regard to case."""

    def __init__(self, store: Store, delay_seconds: float, minute_seconds: float) -> None:
        self._store = store
        self._database = store.database
        self._delay_seconds = delay_seconds
        self.minute_seconds = minute_seconds
        self._waiting: deque[tuple[float, Answered | Measured]] = deque()
        #: What counts already and is not written yet, by endpoint, deployment and the start of the minute.
        self._new: dict[tuple[str, str, float], Figures] = {}

    def add(self, observation: Answered | Measured) -> None:
        """Counts it when the delay has passed."""
        self._waiting.append((time.time(), observation))
        if len(self._waiting) > _WAITING:
            self._count(*self._waiting.popleft())

    def between(self, endpoint: str, first: float, end: float) -> list[Minute]:
        """The minutes that begin within the time, oldest first."""
        self.write()
        rows = self._database.execute(
            "SELECT deployment, start, figures FROM traffic_figures"
            " WHERE endpoint = ? AND seconds = ? AND start >= ? AND start < ? ORDER BY start",
            (endpoint.lower(), self.minute_seconds, first, end),
        )
        return [Minute(deployment, start, _read(figures)) for deployment, start, figures in rows]

    def write(self) -> None:
        """Writes what counts by now, and drops what is too old."""
        latest = time.time() - self._delay_seconds
        while self._waiting and self._waiting[0][0] <= latest:
            self._count(*self._waiting.popleft())
        if not self._new:
            return
        with self._store.transaction():
            for (endpoint, deployment, start), figures in self._new.items():
                key = (endpoint, deployment, start, self.minute_seconds)
                self._database.execute(
                    "INSERT INTO traffic_figures (endpoint, deployment, start, seconds, figures) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET figures = excluded.figures",
                    (*key, self._with_written(key, figures).written()),
                )
            self._database.execute(
                "DELETE FROM traffic_figures WHERE start < ?", (time.time() - KEPT_MINUTES * self.minute_seconds,)
            )
        self._new.clear()

    def close(self) -> None:
        """Writes everything, also what would count later."""
        while self._waiting:
            self._count(*self._waiting.popleft())
        self.write()

    def _count(self, at: float, observation: Answered | Measured) -> None:
        start = math.floor(at / self.minute_seconds) * self.minute_seconds
        key = (observation.endpoint.lower(), observation.deployment, start)
        self._new.setdefault(key, Figures()).add(observation)

    def _with_written(self, key: tuple[str, str, float, float], new: Figures) -> Figures:
        row = self._database.execute(
            "SELECT figures FROM traffic_figures WHERE endpoint = ? AND deployment = ? AND start = ? AND seconds = ?",
            key,
        ).fetchone()
        if row:
            new.merge(_read(row[0]))
        return new


def _read(written: str) -> Figures:
    kept = json.loads(written)
    return Figures(
        Counter({(status, model_status): number for status, model_status, number in kept["requests"]}),
        Counter(dict(kept["latencies"])),
        kept["milliseconds"],
        kept["bytes"],
        {name: (total, number) for name, (total, number) in kept["measured"].items()},
    )


def merged(several: Iterable[Figures]) -> Figures:
    """The figures of several deployments in one minute."""
    together = Figures()
    for figures in several:
        together.merge(figures)
    return together
