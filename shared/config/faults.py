"""Faults of a configuration, each with its place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.config.written import Readable

#: Keys and list positions from the top of the file down to a value.
Steps = Sequence[str | int]


@dataclass(frozen=True)
class Fault:
    """A fault and its place: `routes.churn.stages[1].endpoint`, or a line if no keys could be read."""

    place: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class ConfigurationFaults(Exception):  # noqa: N818  # it holds several, each a Fault
    """The configuration is invalid. `faults` lists every fault, not just the first."""

    def __init__(self, path: "Readable", faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"{path} has {count}:", *map(str, self.faults)]))


def place(steps: Steps) -> str:
    """Return the path to a value, such as `routes.churn.stages[1].endpoint`."""
    return "".join(map(_written, steps)).removeprefix(".") or "(top)"


def _written(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if re.fullmatch(r"[\w-]+", step) else f'["{step}"]'
