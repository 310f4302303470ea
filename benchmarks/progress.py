"""How a benchmark says how far it has come."""

from typing import Protocol


class Progress(Protocol):
    """Called with the parts that are done, with their number, and with what is going on."""

    def __call__(self, done: float, of: float, doing: str) -> None: ...
