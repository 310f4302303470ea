"""Limits of live figures as people write them: `0.01`, `1%`, `500ms`, `20%`."""

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Self

from shared.config import durations


class Unit(Enum):
    """The unit of a live figure, and an example of a limit."""

    FRACTION = "0.01 or 1%"
    MILLISECONDS = "500ms"
    PERCENT = "80%"


@dataclass(frozen=True)
class Limit:
    """How much higher than another figure a figure may be."""

    value: float  #: in the figure's unit; a fraction of the other figure if `relative`
    relative: bool

    def above(self, other: float) -> float:
        """The highest value that passes."""
        return other * (1 + self.value) if self.relative else other + self.value

    @classmethod
    def margin(cls, name: str, written: float | str, unit: Unit) -> Self:
        """Read a margin: `20%` is relative to the other figure. Raises ValueError."""
        percent = _percent(written)
        if percent is not None:
            return cls(percent / 100, relative=True)
        return cls(cls.absolute(name, written, unit), relative=False)

    @staticmethod
    def absolute(name: str, written: float | str, unit: Unit) -> float:
        """Read a limit in the figure's unit. Raises ValueError."""
        value = _value(written, unit)
        if value is None or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name}: must be like {unit.value}, not {written}")
        if unit is Unit.FRACTION and value > 1:
            raise ValueError(f"{name}: must be a share from 0 to 1, such as {unit.value}, not {written}")
        return value


def _value(written: float | str, unit: Unit) -> float | None:
    if unit is Unit.MILLISECONDS:
        try:
            return durations.parse(written).total_seconds() * 1000
        except ValueError:
            return None
    percent = _percent(written)
    if percent is not None:
        return percent / 100 if unit is Unit.FRACTION else percent
    try:
        return float(written)
    except ValueError:
        return None


def _percent(written: float | str) -> float | None:
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%", written.strip()) if isinstance(written, str) else None
    return float(found[1]) if found else None
