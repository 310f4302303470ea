"""When a stage's champion pipeline runs there again automatically."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.config import patterns
from shared.config.fields import Duration, ModelPattern, Settings

#: How often the app looks whether a run is due, as the timer in `functions/reconcile.py` says.
LOOKS_EVERY = timedelta(minutes=15)
_A_MONTH = r"([1-9]|[12][0-9]|30) a month"
_MOST = 30


def _count(value: Any) -> Any:
    found = re.fullmatch(_A_MONTH, value) if isinstance(value, str) else None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST:
        return value  # also what a promotion keeps
    if found is None:
        raise ValueError("must be the maximum number of runs in a month, from 1 to 30, such as: 4 a month")
    return int(found[1])


_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": f"^{_A_MONTH}$"},
        {"type": "integer", "minimum": 1, "maximum": _MOST},
    ]
}
AMonth = Annotated[int, BeforeValidator(_count), WithJsonSchema(_SCHEMA)]


class OnDrift(Settings):
    """A run that a breach of a model monitor starts. The run itself deploys nothing."""

    monitor: ModelPattern = Field(
        description="Name of the monitor in the environment's workspace. `*`, `?` and `[…]` work as in a shell."
    )
    cooldown: Duration = Field(
        default=timedelta(days=7),
        description="How long further breaches are ignored after a run that drift started, since drift lasts until the "
        "monitor's window has moved on.",
        json_schema_extra={"default": "7d"},
    )
    at_most: AMonth = Field(
        default=4,
        description="The maximum number of runs that drift may start in 30 days.",
        json_schema_extra={"default": "4 a month"},
    )

    def takes(self, monitor: str) -> bool:
        """Return whether a breach of this monitor starts a run."""
        return patterns.matches((self.monitor,), monitor)
