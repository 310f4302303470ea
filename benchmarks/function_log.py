"""Reads what the local Functions host logs about each invocation at log level Debug."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_EXECUTED = re.compile(r"Executed '([^']+)' \(\w+, Id=[^,]+, Duration=([0-9.]+)ms\)")


#: The functions that a promotion from dev to test uses; the timers and what people ask are not among them.
OF_PROMOTIONS = ("take_events", "advance", "advance_dev", "advance_test", "work_dev", "work_test")


@dataclass(frozen=True)
class Use:
    """What one function has used."""

    invocations: int
    seconds: float


def uses(lines: Iterable[str]) -> dict[str, Use]:
    """The use by function, in the order of their first invocations."""
    found: dict[str, Use] = {}
    for line in lines:
        executed = _EXECUTED.search(line)
        if executed:
            before = found.get(executed[1], Use(0, 0.0))
            found[executed[1]] = Use(before.invocations + 1, before.seconds + float(executed[2]) / 1000)
    return found


def difference(after: Mapping[str, Use], before: Mapping[str, Use]) -> dict[str, Use]:
    """The use between two readings of the same log, for functions that were used."""
    none = Use(0, 0.0)
    spent = {
        name: Use(use.invocations - before.get(name, none).invocations, use.seconds - before.get(name, none).seconds)
        for name, use in after.items()
    }
    return {name: use for name, use in spent.items() if use.invocations}
