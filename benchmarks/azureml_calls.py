"""What a promotion asked of Azure ML, by the control plane's log: calls by step, and how long Azure ML was at work."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Call = Mapping[str, Any]  #: as `/local/requests` lists it
Operation = Mapping[str, Any]  #: a long-running operation, as `/local/operations` lists it
Row = tuple[str, str, int]  #: step, call and count


def by_step(calls: Iterable[Call], promotions: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows in the order of the steps, and of the first call of each kind.

    `promotions` are answers of `GET /api/promotions/{id}`, with one stage each, so that only one step runs at a time.
    """
    steps = [step for promotion in promotions for stage in promotion["stages"] for step in stage["steps"]]
    spans = [(step["name"], _seconds(step["started"]), _seconds(step["ended"])) for step in steps if step["started"]]
    counts: Counter[tuple[str, str]] = Counter()
    for call in calls:
        name = next((name for name, began, ended in spans if began <= call["time"] <= ended), "")
        counts[name, f"{call['method']} {call['operation']}"] += 1
    order = [name for name, _, _ in spans] + [""]
    return sorted(
        ((name, call, count) for (name, call), count in counts.items() if name), key=lambda row: order.index(row[0])
    )


def made_by(calls: Sequence[Call], client_ids: Iterable[str]) -> list[Call]:
    """The calls that these identities made, and the scoring requests, which are made with a key."""
    wanted = set(client_ids)
    return [call for call in calls if call["identity"] in wanted or call["operation"].startswith("/scoring/")]


def seconds_at_work(calls: Iterable[Call], operations: Iterable[Operation], began: float, ended: float) -> float:
    """The seconds between two moments in which Azure ML was at work on at least one call or operation."""
    spans = [(call["time"], call["time"] + call["seconds"]) for call in calls]
    spans += [(each["started"], each["ended"] or ended) for each in operations]
    total, until = 0.0, began
    for start, end in sorted(spans):
        total += max(0.0, min(end, ended) - max(start, until))
        until = max(until, end)
    return total


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else float("inf")
