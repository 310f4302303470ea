"""The rules of a delivery: what an answer means, when to retry, when to give up. No clock and no I/O.

The status codes and the schedule are those of Azure Event Grid's delivery to webhooks.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

#: Seconds an endpoint has for its answer.
ANSWER_WITHIN = 30.0

_DELIVERED = frozenset({200, 201, 202, 203, 204})
#: Retrying would not help: the event is dead-lettered at once, with this in the reason.
_FINAL = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 413: "RequestEntityTooLarge"}
#: Event Grid's own names of outcomes; the others are named like the status.
_OUTCOMES = {**_FINAL, 408: "TimedOut", 413: "PayloadTooLarge", 429: "Busy", 503: "Busy"}
#: A pause grows by up to this share, so that events which failed together do not return together.
_JITTER = 0.1


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended: Event Grid's name for it, and the HTTP status if there was an answer."""

    name: str
    status: int | None = None

    @classmethod
    def of_status(cls, status: int) -> "Outcome":
        """The outcome of an answer with this HTTP status."""
        if status in _OUTCOMES:
            return cls(_OUTCOMES[status], status)
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Generic Error"
        return cls("".join(word.capitalize() for word in phrase.replace("-", " ").split()), status)

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has accepted the events."""
        return self.status in _DELIVERED


TIMED_OUT = Outcome("TimedOut")
NOT_REACHED = Outcome("SocketError")


def reason_to_give_up(outcome: Outcome, *, attempts: int, max_attempts: int) -> str | None:
    """The `deadLetterReason` after a failed attempt, or None if the event will be retried."""
    if outcome.status is not None and outcome.status in _FINAL:
        return f"UndeliverableDueToHttp{_FINAL[outcome.status]}"
    return "MaxDeliveryAttemptsExceeded" if attempts >= max_attempts else None


def pause_after(attempts: int, pauses: Sequence[float]) -> float:
    """Seconds to wait after this many failed attempts, with jitter; the last pause is repeated."""
    pause = pauses[min(attempts, len(pauses)) - 1]
    return pause * (1 + random.random() * _JITTER)
