"""Health checks that run side by side, each with what it found."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.config import ConfigurationFaults

#: A name that nothing has. Looking it up shows whether the identity may read.
NOBODY = "mlpromote-health"


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  #: the app works, but somebody should look at this
    UNCHECKED = "unchecked"  #: part of it cannot be checked without changing something
    FAULT = "fault"


@dataclass(frozen=True)
class Seen:
    """What a check found, if it is not simply ok."""

    state: State
    says: str
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """One read-only check. `look` returns what it found in words, or raises what is wrong."""

    what: str
    name: str
    look: Callable[[], str | Seen]
    todo: str = ""  #: what to do, if the error does not say


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `todo` is empty if there is nothing to do or if `says` includes it."""

    what: str
    name: str
    state: State
    says: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        """Whether the app can work without a fix here."""
        return self.state is not State.FAULT


def carried_out(checks: Sequence[Check], seconds: float) -> Iterator[Finding]:
    """Run the checks and yield their results in order, after at most `seconds`."""
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # A thread that hangs must not keep the process alive.
        threading.Thread(target=lambda n=number, c=check: done.put((n, _result(c))), daemon=True).start()
    deadline = time.monotonic() + seconds
    found: dict[int, list[Finding]] = {}
    while len(found) < len(checks):
        try:
            number, findings = done.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        found[number] = findings
    for number, check in enumerate(checks):
        late = Finding(check.what, check.name, State.FAULT, f"no answer within {seconds:g} s", check.todo)
        yield from found.get(number, [late])


def _result(check: Check) -> list[Finding]:
    try:
        seen = check.look()
        if isinstance(seen, str):
            return [Finding(check.what, check.name, State.OK, seen)]
        return [Finding(check.what, check.name, seen.state, seen.says, seen.todo)]
    except ConfigurationFaults as faults:
        return [Finding(check.what, fault.place, State.FAULT, fault.sentence, check.todo) for fault in faults.faults]
    except Exception as fault:  # noqa: BLE001  # whatever it is: to find it is what the check is for
        return [Finding(check.what, check.name, State.FAULT, str(fault) or type(fault).__name__, check.todo)]
