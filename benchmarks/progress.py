"""How a benchmark reports its progress."""

from typing import Protocol


class Progress(Protocol):
    """Called with the number of completed parts, the number of all parts, and the current activity."""

    def __call__(self, done: float, of: float, doing: str) -> None: ...
