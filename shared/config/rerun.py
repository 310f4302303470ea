"""When a pipeline that serves a stage runs there again by itself."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.config import patterns
from shared.config.fields import Duration, ModelPattern, Settings

_A_MONTH = r"([1-9]|[12][0-9]|30) a month"


def _count(value: Any) -> Any:
    found = re.fullmatch(_A_MONTH, value) if isinstance(value, str) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if found is None:
        raise ValueError("write how many runs a month has at most, from 1 to 30, such as: 4 a month")
    return int(found[1])


AMonth = Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "string", "pattern": f"^{_A_MONTH}$"})]


class OnDrift(Settings):
    """A run that a model monitor's breach asks for. It deploys nothing by itself."""

    monitor: ModelPattern = Field(
        description="Name of the monitor in the environment's workspace. `*`, `?` and `[…]` work as in a shell."
    )
    cooldown: Duration = Field(
        default=timedelta(days=7),
        description="After a run for drift, further reports start none for so long: drift lasts until the monitor's "
        "window has moved on.",
        json_schema_extra={"default": "7d"},
    )
    at_most: AMonth = Field(
        default=4, description="How many runs drift may start in 30 days.", json_schema_extra={"default": "4 a month"}
    )

    def takes(self, monitor: str) -> bool:
        """Return whether a breach of this monitor asks for a run."""
        return patterns.matches((self.monitor,), monitor)
