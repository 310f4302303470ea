"""When to poll again what Azure is doing."""

from datetime import timedelta

from shared.core.messages import Running, RunStep

FIRST_PAUSE = 2.0  # seconds
GROWTH = 1.4
LONGEST_PAUSE = 30.0  # seconds; the pause that azure-ai-ml keeps itself for most operations


def poll_again(command: RunStep, says: str) -> Running:
    """Soon at first and then less often: most operations take seconds, a deployment up to twenty minutes."""
    # The exponent is bounded, because a float is.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(max(command.poll - 1, 0), 50))
    return Running(timedelta(seconds=round(pause, 1)), says)
