"""What a job logged, separated into numbers and values that JSON cannot express."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class MetricValues:
    """The last value of each metric, by name."""

    numbers: Mapping[str, float]
    not_numbers: Mapping[str, str]  #: `NaN`, `Infinity` or `-Infinity`, as MLflow writes them

    @classmethod
    def of(cls, logged: Mapping[str, float]) -> Self:
        return cls(
            numbers={name: value for name, value in logged.items() if math.isfinite(value)},
            not_numbers={name: _in_words(value) for name, value in logged.items() if not math.isfinite(value)},
        )


def _in_words(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
