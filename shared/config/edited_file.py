"""A file that people edit while the app runs: read again when it has changed."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from shared.config.faults import ConfigurationFaults
from shared.config.written import Readable

T = TypeVar("T")
log = logging.getLogger("mlpromote")

#: Of a file, what changes when it is written: time, size, and number on the disk.
Stamp = tuple[int, int, int]


class EditedFile(Generic[T]):
    """Thread-safe. A text that is no file never changes."""

    def __init__(self, file: Readable, read: Callable[[Readable], T]) -> None:
        """`read` raises ConfigurationFaults."""
        self._file = file
        self._read = read
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._last: T | None = None
        self.trouble: ConfigurationFaults | None = None  #: what is wrong with the file, if an earlier content counts

    @property
    def content(self) -> T:
        """What the file holds; while it is faulty, what it held before. Raises ConfigurationFaults if there is none."""
        with self._lock:
            stamp = self._now()
            if self._last is None or stamp != self._stamp:
                self._take(stamp)
            assert self._last is not None
            return self._last

    def _take(self, stamp: Stamp | None) -> None:
        try:
            self._last = self._read(self._file)
            self.trouble = None
        except ConfigurationFaults as fault:
            if self._last is None:
                raise
            self.trouble = fault
            log.error("the edited configuration is not used: %s", fault)
        self._stamp = stamp

    def _now(self) -> Stamp | None:
        if not isinstance(self._file, Path):
            return None
        try:
            found = os.stat(self._file)  # for each message: Path.stat takes a quarter longer
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)
