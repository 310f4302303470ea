"""The wire form of messages."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.lane import decide, due
from shared.core.messages import (
    Command,
    Event,
    Failed,
    FailureKind,
    FindRegistrations,
    JobEnded,
    ModelRegistered,
    Outcome,
    Retry,
    Running,
    StepReported,
    Succeeded,
    decode,
    encode,
)
from shared.core.promotion import Lane
from shared.core.wire import UndecodableError
from tests.core.world import KEY, NOW, Azure, answer, drive, requested

#: Top-level fields that the Functions host would take for message metadata (azure-functions-host, issue 7119).
TAKEN_BY_THE_HOST = {
    "messageid", "subject", "to", "correlationid", "sessionid", "deliverycount", "contenttype", "label", "replyto",
    "sequencenumber", "locktoken", "partitionkey",
}  # fmt: skip


def commands() -> list[Command]:
    lane, _ = drive(Lane(KEY), requested("1"), Azure())
    lane = decide(lane, requested("2"), NOW).lane
    found: list[Command] = [FindRegistrations("dev", NOW, NOW)]
    while ready := due(lane):
        found.append(ready[0])
        lane = decide(lane, answer(ready[0]), NOW).lane
    return found


def events() -> list[Event]:
    outcomes: list[Outcome] = [
        Succeeded({"metrics": {"auc": 0.9}, "names": ["a", 1, None, True]}),
        Failed("no", FailureKind.REFUSED, "table", {"gates": []}),
        Running(timedelta(seconds=5), "ünder way"),
        Retry(timedelta(milliseconds=1500), "429"),
    ]
    command = due(decide(Lane(KEY), requested("1"), NOW).lane)[0]
    return [
        ModelRegistered("/w", "a:b/ü", "1", {"x": "y"}, "event-grid"),
        JobEnded("/w", "job", "experiment", "Failed", {}, "event-grid"),
        *(answer(command, outcome) for outcome in outcomes),
    ]


@pytest.mark.parametrize("message", [*commands(), *events()], ids=lambda message: type(message).__name__)
def test_what_is_encoded_is_decoded_to_the_same(message: Command | Event) -> None:
    """But for what no body can say: whose worker reports is what the receiver knows."""
    assert decode(encode(message)) == (
        replace(message, environment="") if isinstance(message, StepReported) else message
    )


@pytest.mark.parametrize("message", [*commands(), *events()], ids=lambda message: type(message).__name__)
def test_no_top_level_field_is_one_that_the_host_takes_for_metadata(message: Command | Event) -> None:
    assert not {key.lower() for key in json.loads(encode(message))} & TAKEN_BY_THE_HOST


@pytest.mark.parametrize("message", [*commands(), *events()], ids=lambda message: type(message).__name__)
def test_message_ids_fit_service_bus(message: Command | Event) -> None:
    assert 0 < len(message.message_id) <= 128


def test_message_ids_differ_between_messages_and_not_between_deliveries() -> None:
    ids = [message.message_id for message in commands()]
    assert len(set(ids)) == len(ids)
    assert [message.message_id for message in commands()] == ids


def document(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(events()[0])) | changes).encode()


def test_a_field_that_is_not_known_is_left_out() -> None:
    content = json.loads(encode(events()[0]))["content"] | {"new_in_the_next_version": 1}
    assert decode(document(content=content)) == events()[0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no object"),
        (b'{"type": 1}', "no object"),
        (document(schema=99), "upgrade this app"),
        (document(type="Elsewhere"), "not known"),
        (document(content=None), "expected ModelRegistered"),
        (document(content={"name": "a"}), "workspace: missing"),
        (document(content={"workspace": "/w", "name": 5}), "name: expected str"),
        (document(content={"workspace": "/w", "name": "a", "version": "1", "tags": []}), "tags: expected an object"),
    ],
)
def test_what_cannot_be_decoded_says_where_and_why(body: bytes, says: str) -> None:
    with pytest.raises(UndecodableError, match=says):
        decode(body)
