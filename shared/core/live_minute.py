"""What a deployment did in one minute, as it is kept and drawn."""

from msgspec import Struct

from shared.core.wire import Moment


class LiveMinute(Struct, frozen=True):
    """One minute of one deployment. None: there is no value for the minute, which is not 0."""

    deployment: str
    at: Moment  #: its beginning
    requests: float | None = None
    errors: float | None = None  #: those that the model is to blame for
    latency_p50: float | None = None  #: milliseconds, as the other latencies
    latency_p95: float | None = None
    latency_p99: float | None = None
    cpu: float | None = None  #: per cent
    memory: float | None = None  #: per cent
