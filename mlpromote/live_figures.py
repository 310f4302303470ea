"""Draws the live figures of a rollout: a line for each figure and deployment, on a scale that both share. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from mlpromote.tables import dim

Document = Mapping[str, Any]
Minute = Mapping[str, Any]
#: The value of a figure in a minute; None if there is none.
Read = Callable[[Minute], float | None]

_BARS = "▁▂▃▄▅▆▇█"
#: Columns of a line: what is older than fits is merged, so that the whole line fits into 80.
COLUMNS = 40
_STEPS = ("rollout", "watch")


def is_watched(promotion: Document) -> bool:
    """Whether a stage of the promotion has begun to watch live figures."""
    return any(
        step["started"] and step["name"].startswith(_STEPS) for stage in promotion["stages"] for step in stage["steps"]
    )


def figure_lines(series: Document, promotion: Document) -> Iterator[RenderableType]:
    """Draw the error rates and P95 latencies of each stage."""
    for stage in series["stages"]:
        minutes = stage["minutes"]
        if not minutes:
            continue
        first, last = (f"{_time(minutes[place]):%H:%M}" for place in (0, -1))
        yield dim(f"  live figures of {stage['name']}, {first} to {last} UTC:")
        names = _names(stage, promotion)
        for title, read, shown in _FIGURES:
            yield from _figure(title, read, shown, minutes, names)


def _figure(
    title: str, read: Read, shown: Callable[[float], str], minutes: Sequence[Minute], names: Mapping[str, str]
) -> Iterator[RenderableType]:
    times = sorted({minute["at"] for minute in minutes})
    values: dict[str, dict[str, float]] = {name: {} for name in names}
    for each in minutes:
        value = read(each)
        if value is not None:
            values[each["deployment"]][each["at"]] = value
    highest = max((value for each in values.values() for value in each.values()), default=None)
    if highest is None:
        return
    for number, (name, role) in enumerate(names.items()):
        known = values[name]
        bars = _bars([known.get(at) for at in times], highest)
        latest = shown(known[max(known)]) if known else "none"
        label = title if not number else ""
        yield Padding(Text(f"{label:<11} {role:<9} {bars} {latest}", no_wrap=True, overflow="crop"), (0, 0, 0, 4))


def _names(stage: Document, promotion: Document) -> dict[str, str]:
    """The deployments, the candidate's first, each with what it is."""
    steps: Sequence[Document] = next(
        (each["steps"] for each in promotion["stages"] if each["name"] == stage["name"]), []
    )
    ours = next((step["evidence"].get("deployment") for step in steps if step["name"] == "deploy"), None)
    found = sorted({minute["deployment"] for minute in stage["minutes"]}, key=lambda name: (name != ours, name))
    return {name: "candidate" if name == ours else "champion" for name in found}


def _bars(values: Sequence[float | None], highest: float) -> str:
    """A character for each value, as high as its part of the highest; a space where there is none."""
    return "".join(" " if value is None else _bar(value, highest) for value in _merged(values))


def _bar(value: float, highest: float) -> str:
    return _BARS[min(int(value / highest * len(_BARS)), len(_BARS) - 1)] if highest else _BARS[0]


def _merged(values: Sequence[float | None]) -> list[float | None]:
    """At most `COLUMNS` values: the highest of those that share a column, since a peak must not disappear."""
    size = max(1, -(-len(values) // COLUMNS))
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [max((each for each in group if each is not None), default=None) for group in groups]


def _error_rate(minute: Minute) -> float | None:
    requests = minute.get("requests")
    return float(minute.get("errors", 0)) / float(requests) if requests else None


def _p95(minute: Minute) -> float | None:
    value = minute.get("latency_p95")
    return None if value is None else float(value)


def _percent(value: float) -> str:
    return f"{value * 100:.3g} %"


def _milliseconds(value: float) -> str:
    return f"{value:.4g} ms"


_FIGURES: tuple[tuple[str, Read, Callable[[float], str]], ...] = (
    ("error rate", _error_rate, _percent),
    ("P95 latency", _p95, _milliseconds),
)


def _time(minute: Minute) -> datetime:
    return datetime.fromisoformat(minute["at"]).astimezone(UTC)
