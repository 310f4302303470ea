"""Live figures of deployments, minute by minute, and the requests that a data collector recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True)
class Minute:
    """What Azure Monitor has of one deployment and one minute. None: no value, which is not 0."""

    at: datetime  #: its beginning
    answers: Mapping[int, float] = field(default_factory=dict)  #: number of answers by HTTP status; empty: no value
    latency_p50: float | None = None  #: milliseconds, as the other latencies
    latency_p95: float | None = None
    latency_p99: float | None = None
    cpu: float | None = None  #: per cent, the mean of the instances
    memory: float | None = None  #: per cent, the mean of the instances


@dataclass(frozen=True)
class LiveFigures:
    """Minutes of one deployment, in order, without those that have no value at all."""

    minutes: Sequence[Minute] = ()
    grain: timedelta = timedelta(minutes=1)  #: how long a `Minute` is: one minute on Azure


@dataclass(frozen=True)
class RecordedRequest:
    """A request that a deployment answered, with the answer. The record does not tell how long the answer took."""

    id: str  #: Azure ML's x-request-id
    at: datetime
    request: Any  #: JSON
    answer: Any  #: JSON; text if it is not JSON


@dataclass(frozen=True)
class Recording:
    """What was found of the requests that were recorded."""

    requests: Sequence[RecordedRequest] = ()  #: the oldest first
    unusable: int = 0  #: left out: too long, not JSON, or without a recorded answer


class LiveFiguresReader(Protocol):
    """Live figures and recorded requests of an environment's endpoints."""

    # Minutes that overlap the time from `since` until `until`. `resources`: also cpu and memory.
    def live_figures(
        self, endpoint: str, deployment: str, since: datetime, until: datetime, resources: bool
    ) -> LiveFigures: ...

    # The last requests before `until`, at most so many; none where the deployment has no data collector.
    def recorded_requests(self, endpoint: str, deployment: str, until: datetime, most: int) -> Recording: ...
