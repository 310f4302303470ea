"""When to poll again what Azure is doing."""

from datetime import timedelta
from typing import Any

from shared.core.messages import Running, RunStep, as_evidence

FIRST_PAUSE = 2.0  # seconds
GROWTH = 1.4
LONGEST_PAUSE = 30.0  # seconds; the pause that azure-ai-ml keeps itself for most operations


def poll_again(command: RunStep, says: str, state: Any = None) -> Running:
    """Soon at first and then less often: most operations take seconds, a deployment up to twenty minutes.

    `state` is a dataclass that the step gets again at its next poll, from `Order.state`.
    """
    # The exponent is bounded, because a float is.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(max(command.poll - 1, 0), 50))
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(state) if state is not None else {})
