"""What all parts of the workspace in memory have in common: how calls fail, and how long work takes."""

from collections import Counter
from dataclasses import dataclass, field


class Crash(BaseException):
    """The process dies: not an Exception, so nothing handles it."""


@dataclass(kw_only=True)
class FakeWork:
    """`polls_until_ready`: how many reads of something that was started still show it as not ready."""

    polls_until_ready: int = 0
    raises: dict[str, Exception | Crash] = field(default_factory=dict)  #: by method: raised once, instead of the call
    dies_after: str = ""  #: the method after whose effect the process dies once
    calls: Counter[str] = field(default_factory=Counter)
    _pending: dict[tuple[str, ...], int] = field(default_factory=dict)

    def _called(self, method: str) -> None:
        self.calls[method] += 1
        if method in self.raises:
            raise self.raises.pop(method)

    def _died(self, method: str) -> None:
        if self.dies_after == method:
            self.dies_after = ""
            raise Crash

    def _begin(self, *key: str) -> None:
        self._pending[key] = self.polls_until_ready

    def _is_ready(self, key: tuple[str, ...]) -> bool:
        left = self._pending.get(key, 0)
        self._pending[key] = left - 1
        return left <= 0
