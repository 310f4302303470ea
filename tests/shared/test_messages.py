"""The wire form of messages."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.core.commands import due
from shared.core.lane import decide
from shared.core.message_bodies import decode, encode
from shared.core.messages import (
    LONGEST_MESSAGE_ID,
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
    id_of_copy,
)
from shared.core.promotion import Lane, Promotion
from shared.core.replacing import replace
from shared.core.wire import UndecodableError, from_json, to_json
from tests.core.driver import LaneDriver, drive
from tests.core.world import KEY, NOW, Azure, answer, requested

#: Top-level fields that the Functions host would mistake for message metadata (azure-functions-host, issue 7119).
TAKEN_BY_THE_HOST = {
    "messageid", "subject", "to", "correlationid", "sessionid", "deliverycount", "contenttype", "label", "replyto",
    "sequencenumber", "locktoken", "partitionkey",
}  # fmt: skip


def commands() -> list[Command]:
    lane, _ = drive(Lane(KEY), requested("1"), Azure())
    driver = LaneDriver(decide(lane, requested("2"), NOW).lane)
    return [FindRegistrations("dev", NOW, NOW), *driver.moments()]


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
    """Except for what no body can say: the receiver knows whose worker reports."""
    assert decode(encode(message)) == (
        replace(message, environment="") if isinstance(message, StepReported) else message
    )


@pytest.mark.parametrize("message", [*commands(), *events()], ids=lambda message: type(message).__name__)
def test_no_top_level_field_is_one_that_the_host_takes_for_metadata(message: Command | Event) -> None:
    assert not {key.lower() for key in json.loads(encode(message))} & TAKEN_BY_THE_HOST


@pytest.mark.parametrize("message", [*commands(), *events()], ids=lambda message: type(message).__name__)
def test_message_ids_fit_service_bus(message: Command | Event) -> None:
    assert 0 < len(message.message_id) <= 128


def test_copies_of_two_long_messages_never_share_an_id() -> None:
    """Duplicate detection would drop one of them, and a message would be lost."""
    beginning = "p" * 120
    original, replayed, other = f"{beginning}:1", f"{beginning}:1:replay-7", f"{beginning}:2"
    ids = {id_of_copy(each, "later-1") for each in (original, replayed, other)}
    assert len(ids) == 3
    assert all(len(id_) <= LONGEST_MESSAGE_ID for id_ in ids)


def test_the_copy_of_a_copy_differs_in_its_suffix_alone() -> None:
    first = id_of_copy("p" * LONGEST_MESSAGE_ID, "later-1")
    assert id_of_copy(first.removesuffix(":later-1"), "later-2") == first.removesuffix("1") + "2"


def test_the_longest_suffix_fits_service_bus() -> None:
    """A dead letter's sequence number has 64 bits."""
    assert len(id_of_copy("p" * LONGEST_MESSAGE_ID, f"replay-{2**63 - 1}")) <= LONGEST_MESSAGE_ID
    assert len(id_of_copy("p" * 100, f"replay-{2**63 - 1}")) <= LONGEST_MESSAGE_ID


def test_message_ids_differ_between_messages_and_not_between_deliveries() -> None:
    ids = [message.message_id for message in commands()]
    assert len(set(ids)) == len(ids)
    assert [message.message_id for message in commands()] == ids


def document(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(events()[0])) | changes).encode()


def test_a_kind_of_failure_that_a_newer_worker_knows_is_unknown() -> None:
    command = due(decide(Lane(KEY), requested("1"), NOW).lane)[0]
    told = encode(answer(command, Failed("it broke", FailureKind.JOB_FAILED)))
    newer = told.replace(b"job-failed", b"made-up-later")
    assert newer != told
    read = decode(newer)
    assert isinstance(read, StepReported)
    assert isinstance(read.outcome, Failed)
    assert read.outcome.kind is FailureKind.UNKNOWN


def test_a_field_that_is_not_known_is_left_out() -> None:
    content = json.loads(encode(events()[0]))["content"] | {"new_in_the_next_version": 1}
    assert decode(document(content=content)) == events()[0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not an object"),
        (b'{"type": 1}', "not an object"),
        (document(schema=99), "upgrade this app"),
        (document(type="Elsewhere"), "unknown type"),
        (document(content=None), "ModelRegistered: Expected `object`, got `null`"),
        (document(content={"name": "a"}), "missing required field `workspace`"),
        (document(content={"workspace": "/w", "name": 5}), r"Expected `str`, got `int` - at `\$\.name`"),
        (
            document(content={"workspace": "/w", "name": "a", "version": "1", "tags": []}),
            r"Expected `object`, got `array` - at `\$\.tags`",
        ),
    ],
)
def test_what_cannot_be_decoded_says_where_and_why(body: bytes, says: str) -> None:
    with pytest.raises(UndecodableError, match=says):
        decode(body)


def test_an_outcome_that_is_not_known_is_refused_by_its_place() -> None:
    body = encode(replace(report(), outcome=Succeeded()))
    with pytest.raises(UndecodableError, match=r"StepReported: Invalid value 'Elsewhere' - at `\$\.outcome\.type`"):
        decode(body.replace(b'"Succeeded"', b'"Elsewhere"'))


def test_no_body_says_whose_worker_reports() -> None:
    """The queue proves it: a worker of test that names prod in its report is not believed."""
    read = replace(report(), environment="prod")
    assert b'"prod"' not in encode(read)
    content = json.loads(encode(read))["content"] | {"environment": "prod"}
    forged = decode(document(type="StepReported", content=content))
    assert isinstance(forged, StepReported)
    assert forged.environment == ""


def test_the_place_of_what_does_not_fit_leads_through_lists_and_objects() -> None:
    news = to_json(events()[0])
    news["tags"] = {"promote": "true", "team": 1}
    with pytest.raises(
        UndecodableError, match=r"^ModelRegistered: Expected `str`, got `int` - at `\$\.tags\[\.\.\.\]`$"
    ):
        from_json(ModelRegistered, news)
    found = to_json(decide(Lane(KEY), requested("1"), NOW).lane.promotions[0])
    del found["stages"][1]["steps"][2]["plan"]["name"]
    with pytest.raises(
        UndecodableError, match=r"missing required field `name` - at `\$\.stages\[1\]\.steps\[2\]\.plan`$"
    ):
        from_json(Promotion, found)


def report() -> StepReported:
    return next(event for event in events() if isinstance(event, StepReported))


NESTED = b"[" * 5000 + b"]" * 5000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (NESTED, "too deeply nested"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too deeply nested"),
        # It can be read, but is too deep to be written again.
        (b"[" * 400 + b"]" * 400, "too deeply nested"),
        (b'{"type": NaN}', "NaN is not a number"),
        (b'{"type": "\\ud800"}', "half a surrogate pair"),
        (b'{"type": "\xed\xa0\x80"}', "not JSON"),
        (b'{"type": ' + b"9" * 5000 + b"}", "not JSON"),
        ('{"type": "ModelRegistered"}'.encode("utf-16"), "not JSON"),
    ],
)
def test_what_could_not_be_worked_with_is_not_decoded(body: bytes, says: str) -> None:
    with pytest.raises(UndecodableError, match=says):
        decode(body)


@pytest.mark.parametrize("evidence", [NESTED, b"[" * 400 + b"]" * 400, b'"\\udfff"', b"-Infinity"])
def test_nor_is_evidence_that_could_not_be_kept(evidence: bytes) -> None:
    marked = replace(report(), outcome=Succeeded({"saw": "MARK"}))
    with pytest.raises(UndecodableError, match="not JSON"):
        decode(encode(marked).replace(b'"MARK"', evidence))


@pytest.mark.parametrize("seconds", [b"1e400", b"9" * 4000])
def test_nor_is_a_number_for_which_a_float_has_no_room(seconds: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(encode(replace(report(), seconds=12345.5)).replace(b"12345.5", seconds))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_nor_is_a_time_that_does_not_exist_in_utc(moment: str) -> None:
    asked = json.loads(encode(FindRegistrations("dev", NOW, NOW)))
    asked["content"]["since"] = moment
    with pytest.raises(UndecodableError, match="no equivalent in UTC"):
        decode(json.dumps(asked).encode())


class Name(str):
    """As an SDK has them."""

    __slots__ = ()


def test_a_text_of_a_class_of_its_own_is_written_as_a_text() -> None:
    assert json.dumps(to_json({"name": Name("x"), "all": [Name("y")]})) == '{"name": "x", "all": ["y"]}'
