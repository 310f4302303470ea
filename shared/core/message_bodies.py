"""The bodies of queue messages: the wire form of commands and events.

No body has a top-level key that the Functions host would mistake for message metadata (`messageId`, `subject`, `to`,
…): the content is one level down.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct

from shared.core import json_text
from shared.core.messages import (
    Command,
    EndpointAlert,
    Event,
    FindRegistrations,
    JobEnded,
    ModelRegistered,
    MonitorBreached,
    RunStep,
    StepReported,
)
from shared.core.replacing import replace
from shared.core.wire import UndecodableError, check_times, from_text, to_text

#: Version of the wire form. A reader understands this one and the one before.
SCHEMA = 1

_TYPES: Mapping[str, type[Command | Event]] = {
    kind.__name__: kind
    for kind in (RunStep, FindRegistrations, ModelRegistered, JobEnded, MonitorBreached, EndpointAlert, StepReported)
}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How a time begins that may have no equivalent in UTC.
_EDGES_OF_CALENDAR = (b'"0001-', b'"9999-')


def encode(message: Command | Event) -> bytes:
    """The body of a queue message: UTF-8 JSON `{"schema", "type", "content"}`."""
    content = _without_sender(message)
    return to_text({"schema": SCHEMA, "type": type(message).__name__, "content": content}).encode()


def decode(body: bytes) -> Command | Event:
    """The message in a body; raises `UndecodableError` with what is wrong."""
    try:
        json_text.check_depth(body)
        message = _message(_body(body.removeprefix(_BYTE_ORDER_MARK)))
        if any(edge in body for edge in _EDGES_OF_CALENDAR):
            check_times(message)
    except ValueError as fault:
        _check_json(body)
        raise fault if isinstance(fault, UndecodableError) else UndecodableError(str(fault)) from fault
    return message


def _check_json(body: bytes) -> None:
    """Raise `UndecodableError` if the body is not JSON at all, with a better reason than that of the quick reader."""
    try:
        json_text.read(body)
    except ValueError as fault:
        raise UndecodableError(f"the message is not JSON: {fault}") from fault


class _Body(Struct):
    type: str
    schema: Any = None
    content: Raw = Raw(b"null")


def _body(text: bytes) -> _Body:
    try:
        return from_text(_Body, text)
    except UndecodableError as fault:
        raise UndecodableError(f"the message is not an object with a type: {fault.__cause__}") from fault


def _message(body: _Body) -> Command | Event:
    if body.schema != SCHEMA:
        raise UndecodableError(f"schema {body.schema!r} is not supported here, only {SCHEMA}: upgrade this app first")
    kind = _TYPES.get(body.type)
    if kind is None:
        raise UndecodableError(f"unknown type {body.type!r}")
    return _without_sender(from_text(kind, body.content))


def _without_sender(message: Command | Event) -> Command | Event:
    """The message without the environment that a report came from, which no body may say."""
    if isinstance(message, StepReported) and message.environment:
        return replace(message, environment="")
    return message
