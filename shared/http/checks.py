"""Things to look at, carried out side by side: what each saw, or what was wrong."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.config import ConfigurationFaults

#: Nothing has this name: looking for it shows that one may look.
NOBODY = "mlpromote-health"


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"  #: the app can do its work, and yet somebody should look at it
    UNCHECKED = "unchecked"  #: some of it cannot be known without changing anything
    FAULT = "fault"


@dataclass(frozen=True)
class Seen:
    """What a check saw, where it is not simply well."""

    state: State
    says: str
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """One thing to look at, without changing it. `look` gives what it saw in words, or raises what is wrong."""

    what: str
    name: str
    look: Callable[[], str | Seen]
    todo: str = ""  #: what to do, where the error does not say


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `todo` is empty where there is nothing to do or `says` has it."""

    what: str
    name: str
    state: State
    says: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended for the app to do its work."""
        return self.state is not State.FAULT


def carried_out(checks: Sequence[Check], seconds: float) -> Iterator[Finding]:
    """What came of each check, in their order, after so many seconds at the latest."""
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # A thread that hangs must not keep the process from ending.
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
