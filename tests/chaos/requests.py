"""What people have asked for, with the app's answers."""

import itertools

from tests.chaos.logbook import Logbook
from tests.chaos.world import Request


class Requests:
    """Remembers the requests about promotions, and gives each a reason of its own."""

    def __init__(self, log: Logbook) -> None:
        self._log = log
        self._numbers = itertools.count(1)
        self.all: list[Request] = []

    @property
    def number(self) -> int:
        """The next one."""
        return next(self._numbers)

    @property
    def reason(self) -> str:
        """One that is not the beginning of another."""
        return f"no. {self.number:06} of the harness"

    def note(self, request: Request, about: str) -> None:
        """Remember a request about promotions."""
        self.all.append(request)
        self.log(request, about)

    def log(self, request: Request, about: str) -> None:
        """Write down a request."""
        self._log.note("request", f"{request.by} {request.what}, {about} ({request.answer}) {request.reason}")
