"""How often pipelines run again by themselves: never more often than the app looks for what is due."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from mlpromote.checking.documents import Document, mapping, stages
from mlpromote.checking.findings import Finding, Rule
from shared.config import durations
from shared.config.rerun import LOOKS_EVERY


def findings(configuration: Document) -> Iterator[Finding]:
    """Yield the schedules that the app cannot keep."""
    for name, route in mapping(configuration.content.get("routes")).items():
        for position, stage in stages(route):
            every = _duration(mapping(stage.get("run")).get("every"))
            if every is not None and every < LOOKS_EVERY:
                least = durations.text(LOOKS_EVERY)
                says = f"must not be shorter than {least}: the app looks only every {least} for what is due"
                yield configuration.fault(
                    ("routes", str(name), "stages", position, "run", "every"), says, Rule.CONFIGURATION
                )


def _duration(written: Any) -> timedelta | None:
    """None for what is no duration, which is a fault of its own."""
    try:
        return durations.parse(written)
    except ValueError:
        return None
