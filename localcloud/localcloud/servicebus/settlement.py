"""Applies a delivery's outcome to its message, and answers the receiver."""

import uuid
from typing import Any

from localcloud.servicebus.amqp_types import Described
from localcloud.servicebus.performatives import (
    ACCEPTED,
    REJECTED_AS_ASKED,
    RELEASED,
    Disposition,
    Outcome,
    field,
    modified,
    rejected,
)
from localcloud.servicebus.queue import DESCRIPTION, REASON, AlreadyDeadLetterError, MessageLockLostError, Queue
from localcloud.servicebus.session_queue import SessionLockLostError

MESSAGE_LOCK_LOST = "com.microsoft:message-lock-lost"
SESSION_LOCK_LOST = "com.microsoft:session-lock-lost"


def settle(queue: Queue, token: uuid.UUID, disposition: Disposition, now: float) -> Described | None:
    """Applies the receiver's outcome and returns the one to settle with: the same on success, otherwise rejected with
    an error. None if the delivery stays unsettled, since the receiver only reported progress."""
    state = disposition.state
    try:
        match state.descriptor if isinstance(state, Described) else None:
            case Outcome.ACCEPTED:
                queue.complete(token, now)
                return ACCEPTED
            case Outcome.REJECTED:
                queue.dead_letter(token, *_reason(field(state, 0)), now)
                return REJECTED_AS_ASKED
            case Outcome.MODIFIED:
                _modify(queue, token, now, delivery_failed=field(state, 0), undeliverable_here=field(state, 1))
                return modified(undeliverable_here=bool(field(state, 1)))
            case Outcome.RELEASED:
                queue.release(token, now)
                return RELEASED
            case _ if disposition.settled:
                queue.release(token, now)
                return RELEASED
    except MessageLockLostError as lost:
        return rejected(condition_of(lost), str(lost))
    except AlreadyDeadLetterError as refused:
        return rejected("amqp:not-allowed", str(refused))
    return None


def condition_of(lost: MessageLockLostError) -> str:
    """The AMQP error for a lock that is lost."""
    return SESSION_LOCK_LOST if isinstance(lost, SessionLockLostError) else MESSAGE_LOCK_LOST


def _modify(queue: Queue, token: uuid.UUID, now: float, *, delivery_failed: Any, undeliverable_here: Any) -> None:
    """The SDKs for .NET and JavaScript abandon without saying that the delivery failed, and the service counts it."""
    if undeliverable_here:
        queue.defer(token, now)
    elif delivery_failed is False:
        queue.release(token, now)
    else:
        queue.abandon(token, now)


def _reason(error: Any) -> tuple[str | None, str | None]:
    """Why a message is dead-lettered: reason and description, from the error's info."""
    info = field(error, 2)
    if not isinstance(info, dict):
        return None, field(error, 1)
    return info.get(REASON), info.get(DESCRIPTION)
