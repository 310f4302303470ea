"""What a function app declares: its functions, each with one trigger, its outputs and its retry policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class HostError(Exception):
    """The app or its settings cannot be served; the message says what to change."""


@dataclass(frozen=True)
class Binding:
    """One binding of a function as its decorator declared it; `properties` holds the raw JSON object."""

    name: str
    type: str
    direction: str
    properties: Mapping[str, Any]

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> "Binding":
        """Reads a binding's JSON object."""
        return cls(properties["name"], properties["type"], properties["direction"].upper(), properties)


@dataclass(frozen=True)
class RetryPolicy:
    """An `@app.retry` policy: `maximum_count` -1 means no limit, intervals are in seconds."""

    maximum_count: int
    first_interval: float
    longest_interval: float
    exponential: bool

    def pause_before(self, retry: int) -> float:
        """The seconds to wait before the given retry, counted from 1."""
        if not self.exponential:
            return self.first_interval
        return min(self.longest_interval, self.first_interval * 2.0 ** min(retry - 1, 32))


@dataclass(frozen=True)
class FunctionDefinition:
    """One indexed function; `id` is the runtime library's, `name` the one that people see."""

    name: str
    id: str
    trigger: Binding
    outputs: Mapping[str, Binding] = field(default_factory=dict)
    #: Beside the trigger.
    inputs: Sequence[Binding] = ()
    retry: RetryPolicy | None = None
    #: Its trigger is ignored; with the master key it can still be run.
    disabled: bool = False
