"""A file with everything that the harness did, with times, for whoever looks for the cause of a violation."""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path


class Logbook:
    """Appends to a file, and counts entries by kind. `about` says, in words, what an entry concerns."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._began = time.monotonic()
        self.counts: Counter[str] = Counter()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def note(self, kind: str, about: str) -> None:
        """Write a line, and count it under its kind."""
        self.counts[kind] += 1
        now = f"{datetime.now(UTC):%H:%M:%S.%f}"[:-3]
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{now} {self.seconds:8.1f} s  {kind:8} {about}\n")
