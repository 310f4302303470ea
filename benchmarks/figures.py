"""The results of benchmarks: ratios with their targets, and tables. Only arithmetic; nothing here measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


class BenchmarkError(Exception):
    """A measurement failed because the measured code did not behave as it should."""


@dataclass(frozen=True)
class Target:
    """A bound for a ratio."""

    bound: float
    at_least: bool
    per_cent: bool = False  #: show ratios as per cent

    def is_met_by(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def shown(self, ratio: float) -> str:
        return f"{ratio * 100:.2f} %" if self.per_cent else f"{ratio:.2f}"

    def __str__(self) -> str:
        bound = f"{self.bound * 100:g} %" if self.per_cent else f"{self.bound:g}"
        return f"{'≥' if self.at_least else '≤'} {bound}"


@dataclass(frozen=True)
class Comparison:
    """Two alternatives measured in turn, round by round, so that other load on the machine affects both."""

    title: str
    ours: Sequence[float]  #: one value per round
    other: Sequence[float]  #: of the same rounds
    ours_is: str
    other_is: str  #: precise description of the baseline
    unit: str
    target: Target | None  #: None if the ratio is only for information

    def __post_init__(self) -> None:
        if not self.ours or len(self.ours) != len(self.other):
            raise ValueError("a comparison needs rounds with values of both sides")

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(ours / other for ours, other in zip(self.ours, self.other, strict=True))

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.target.is_met_by(self.ratio)


@dataclass(frozen=True)
class Table:
    """Figures without a target: rows of cells below a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


Finding = Comparison | Table
