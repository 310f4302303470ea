"""Request nodes: `$cbs`, where clients put their tokens, and `<queue>/$management`, for everything that links cannot
do.

Operations and their fields: Microsoft, "AMQP 1.0 in Azure Service Bus: request-response-based operations".
"""

import uuid
from collections.abc import Callable
from typing import Any, Protocol

from localcloud.servicebus.amqp_types import Array, CodecError, Int, Symbol
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.message import (
    APPLICATION_PROPERTIES,
    PROPERTIES,
    VALUE,
    encode_section,
    milliseconds,
    read_message,
    sections,
    write_message,
)
from localcloud.servicebus.queue import AlreadyDeadLetterError, MessageLockLostError, MessageNotFoundError, Queue
from localcloud.servicebus.session_queue import SessionQueue, SessionRequiredError
from localcloud.servicebus.settlement import condition_of
from localcloud.servicebus.shared_access import (
    UNAUTHORIZED_ACCESS,
    Claim,
    Grants,
    TokenRefusedError,
    missing_claim,
)

TOKEN_NODE = "$cbs"
MANAGEMENT_SUFFIX = "/$management"
_VENDOR = "com.microsoft:"
#: `receiver-settle-mode` of a receiver that never settles.
_RECEIVE_AND_DELETE = 0

_OK, _ACCEPTED, _NO_CONTENT = 200, 202, 204
_BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND, _GONE, _NOT_IMPLEMENTED = 400, 401, 404, 410, 501
#: The `last-updated-time` in requests for all sessions: the end of the year 9999, in milliseconds.
_END_OF_TIME = 253_402_300_800_000
#: Operations that need the right to send; all others need the right to listen.
_SENDING = ("schedule-message", "cancel-scheduled-message")


class MessageSizeExceededError(Exception):
    """The messages of a request are larger than a batch may be."""


class RequestNode(Protocol):
    """Something that answers requests."""

    def answer(self, encoded: bytes) -> bytes:
        """The encoded reply to an encoded request. Raises `CodecError`."""


def node_at(address: str, broker: Broker, grants: Grants) -> "RequestNode | None":
    if address == TOKEN_NODE:
        return TokenNode(grants)
    queue = broker.queue_at(address.removesuffix(MANAGEMENT_SUFFIX))
    return None if queue is None else ManagementNode(queue, broker, grants)


class Request:
    """A decoded request: its application properties, its body, and what identifies its reply."""

    def __init__(self, encoded: bytes) -> None:
        parts = {section.code: section.value for section in sections(encoded)}
        properties = parts.get(PROPERTIES) or []
        self._message_id = properties[0] if properties else None
        self._properties = parts.get(APPLICATION_PROPERTIES) or {}
        #: The content of the body; `body` is the same if it is a map.
        self.content = parts.get(VALUE)
        self.body: dict[str, Any] = self.content if isinstance(self.content, dict) else {}

    @property
    def link(self) -> str | None:
        """The name of the link for which the client makes the request."""
        name = self._properties.get("associated-link-name")
        return name if isinstance(name, str) else None

    @property
    def operation(self) -> str:
        return str(self._properties.get("operation", ""))

    def value(self, name: str, kind: type) -> Any:
        """A required field of the body. Raises `CodecError` if it is missing or of another type."""
        value = self.body.get(name)
        if not isinstance(value, kind):
            raise CodecError(f"{self.operation} needs {name}")
        return value

    def reply(self, status: dict[str, Any], body: Any = None) -> bytes:
        correlated = [None, None, None, None, None, self._message_id]
        return (
            encode_section(PROPERTIES, correlated)
            + encode_section(APPLICATION_PROPERTIES, status)
            + encode_section(VALUE, body if body is not None else {})
        )


class TokenNode:
    """Takes the tokens of one connection."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def answer(self, encoded: bytes) -> bytes:
        request = Request(encoded)
        try:
            self._grants.show(request.content)
        except TokenRefusedError as refusal:
            return request.reply({"status-code": Int(_UNAUTHORIZED), "status-description": str(refusal)})
        return request.reply({"status-code": Int(_ACCEPTED), "status-description": "Accepted"})


class ManagementNode:
    """The operations on one queue."""

    def __init__(self, queue: Queue, broker: Broker, grants: Grants) -> None:
        self._queue = queue
        self._broker = broker
        self._grants = grants
        self._operations: dict[str, Callable[[Request, float], dict[str, Any] | None]] = {
            "renew-lock": self._renew_lock,
            "peek-message": self._peek_message,
            "schedule-message": self._schedule_message,
            "cancel-scheduled-message": self._cancel_scheduled_message,
            "receive-by-sequence-number": self._receive_by_sequence_number,
            "update-disposition": self._update_disposition,
        }
        if isinstance(queue, SessionQueue):
            self._operations |= SessionOperations(queue).by_name

    def answer(self, encoded: bytes) -> bytes:
        request = Request(encoded)
        name = request.operation.removeprefix(_VENDOR)
        claim = Claim.SEND if name in _SENDING else Claim.LISTEN
        if not self._grants.allow(claim, self._queue.name):
            return request.reply(_status(_UNAUTHORIZED, missing_claim(claim, self._queue.name), UNAUTHORIZED_ACCESS))
        operation = self._operations.get(name)
        if operation is None:
            description = f"{request.operation} is not supported by the local Service Bus"
            return request.reply(_status(_NOT_IMPLEMENTED, description, "amqp:not-implemented"))
        self._broker.changed(self._queue)
        try:
            body = operation(request, self._broker.now())
        except MessageLockLostError as lost:
            return request.reply(_status(_GONE, str(lost), condition_of(lost)))
        except MessageNotFoundError as missing:
            return request.reply(_status(_NOT_FOUND, str(missing), _VENDOR + "message-not-found"))
        except MessageSizeExceededError as exceeded:
            return request.reply(_status(_BAD_REQUEST, str(exceeded), "amqp:link:message-size-exceeded"))
        except SessionRequiredError as refused:
            return request.reply(_status(_BAD_REQUEST, str(refused), "amqp:not-allowed"))
        except (AlreadyDeadLetterError, CodecError) as refused:
            return request.reply(_status(_BAD_REQUEST, str(refused), _VENDOR + "argument-error"))
        if body is None:
            return request.reply(_status(_NO_CONTENT, "No content"))
        return request.reply(_status(_OK, "OK"), body)

    def _renew_lock(self, request: Request, now: float) -> dict[str, Any]:
        untils = [self._queue.renew(token, now) for token in _tokens(request)]
        return {"expirations": Array(milliseconds(until) for until in untils)}

    def _peek_message(self, request: Request, now: float) -> dict[str, Any] | None:
        self._queue.advance(now)
        count = request.value("message-count", int)
        if count < 1:
            raise CodecError("message-count must be at least 1")
        first, session_id = request.value("from-sequence-number", int), request.body.get("session-id")
        if isinstance(self._queue, SessionQueue) and isinstance(session_id, str):
            found = self._queue.peek_in(session_id, first, count)
        else:
            found = self._queue.peek(first, count)
        return {"messages": [{"message": write_message(message)} for message in found]} if found else None

    def _schedule_message(self, request: Request, now: float) -> dict[str, Any]:
        if self._queue.dead_letters is None:
            raise CodecError(f"{self._queue.name} takes dead letters only")
        encoded = [entry["message"] for entry in _entries(request)]
        largest = self._queue.max_message_size
        if (size := sum(map(len, encoded))) > largest:
            raise MessageSizeExceededError(f"the messages have {size} bytes; at most {largest} are allowed")
        messages = [read_message(message) for message in encoded]
        self._queue.check(message for message, _ in messages)
        numbers = [self._queue.send(message, message_id, now) for message, message_id in messages]
        return {"sequence-numbers": Array(numbers)}

    def _cancel_scheduled_message(self, request: Request, now: float) -> dict[str, Any]:
        self._queue.advance(now)
        self._queue.cancel_scheduled(_sequence_numbers(request))
        return {}

    def _receive_by_sequence_number(self, request: Request, now: float) -> dict[str, Any]:
        self._queue.advance(now)
        numbers = _sequence_numbers(request)
        if isinstance(self._queue, SessionQueue):
            self._queue.check_deferred(request.value("session-id", str), request.link, numbers, now)
        if request.body.get("receiver-settle-mode") == _RECEIVE_AND_DELETE:
            taken = self._queue.take_deferred(numbers, now)
            return {"messages": [{"message": write_message(message)} for message in taken]}
        locks = self._queue.lock_deferred(numbers, now)
        return {
            "messages": [
                {"lock-token": lock.token, "message": write_message(lock.message, lock.until)} for lock in locks
            ]
        }

    def _update_disposition(self, request: Request, now: float) -> dict[str, Any]:
        status = request.value("disposition-status", str)
        for token in _tokens(request):
            match status:
                case "completed":
                    self._queue.complete(token, now)
                case "abandoned":
                    self._queue.abandon(token, now)
                case "defered":  # the protocol spells it so
                    self._queue.defer(token, now)
                case "suspended":
                    reason, description = (
                        request.body.get("deadletter-reason"),
                        request.body.get("deadletter-description"),
                    )
                    self._queue.dead_letter(token, reason, description, now)
                case _:
                    raise CodecError(f"{status!r} is not a disposition status")
        return {}


class SessionOperations:
    """The operations on the sessions of one queue."""

    def __init__(self, queue: SessionQueue) -> None:
        self._queue = queue
        self.by_name: dict[str, Callable[[Request, float], dict[str, Any] | None]] = {
            "renew-session-lock": self._renew_lock,
            "get-session-state": self._get_state,
            "set-session-state": self._set_state,
            "get-message-sessions": self._get_sessions,
        }

    def _renew_lock(self, request: Request, now: float) -> dict[str, Any]:
        until = self._queue.renew_session(request.value("session-id", str), request.link, now)
        return {"expiration": milliseconds(until)}

    def _get_state(self, request: Request, now: float) -> dict[str, Any]:
        held = self._queue.held(request.value("session-id", str), request.link, now)
        return {"session-state": self._queue.state(held.session_id)}

    def _set_state(self, request: Request, now: float) -> dict[str, Any]:
        held = self._queue.held(request.value("session-id", str), request.link, now)
        state = request.body.get("session-state")
        if not (state is None or isinstance(state, bytes)):
            raise CodecError("session-state must be binary")
        self._queue.set_state(held.session_id, state, now)
        return {}

    def _get_sessions(self, request: Request, now: float) -> dict[str, Any] | None:
        self._queue.advance(now)
        updated, skip, top = (request.value(name, int) for name in ("last-updated-time", "skip", "top"))
        found = self._queue.sessions(None if updated >= _END_OF_TIME else updated / 1000)[skip : skip + top]
        return {"skip": Int(skip), "sessions-ids": Array(found)} if found else None


def _status(code: int, description: str, condition: str | None = None) -> dict[str, Any]:
    status: dict[str, Any] = {"statusCode": Int(code), "statusDescription": description}
    if condition is not None:
        status["errorCondition"] = Symbol(condition)
    return status


def _tokens(request: Request) -> list[uuid.UUID]:
    tokens = list(request.value("lock-tokens", tuple))
    if not tokens or not all(isinstance(token, uuid.UUID) for token in tokens):
        raise CodecError("lock-tokens must be UUIDs")
    return tokens


def _sequence_numbers(request: Request) -> list[int]:
    """The requested numbers, without duplicates."""
    numbers = request.value("sequence-numbers", tuple)
    if not all(isinstance(number, int) for number in numbers):
        raise CodecError("sequence-numbers must be numbers")
    return list(dict.fromkeys(numbers))


def _entries(request: Request) -> list[dict[str, Any]]:
    entries = request.value("messages", list)
    if not entries or not all(isinstance(entry, dict) and isinstance(entry.get("message"), bytes) for entry in entries):
        raise CodecError("messages must be a list of encoded messages")
    return list(entries)
