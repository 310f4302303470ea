"""Dead letters that cannot be handled: each is one row of the list, and can be discarded for good."""

import base64
from typing import Any

import pytest

from shared.core.queues import EVENTS_QUEUE
from tests.fakes.queues import FakeQueues
from tests.functions.conftest import ALICE, BOB, Api, Reply
from tests.functions.failing import failed, failures, outcomes, registered, replay

NESTED = b"[" * 5000 + b"]" * 5000
UNDECODABLE = {
    "nested": NESTED,
    "nested objects": b'{"a":' * 5000 + b"0" + b"}" * 5000,
    "nested less": b"[" * 400 + b"]" * 400,
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "half a surrogate pair": b'{"schema": 1, "type": "\\ud800", "content": {}}',
    "half a name": b'{"schema": 1, "type": "ModelRegistered", "content": {"workspace": "/w", "name": "\\ud800",'
    b' "version": "1", "tags": {}, "source": "s"}}',
    "no number": b'{"schema": NaN}',
    "many digits": b'{"schema": ' + b"9" * 5000 + b"}",
}


def discard(api: Api, by: Any = ALICE, **body: object) -> Reply:
    return api.post("failures/discard", {"reason": "garbage", **body}, by)


def kept(api: Api, query: str = "") -> list[dict[str, Any]]:
    page = api.get(f"failures/discarded{query}")
    assert page.status == 200, page.body
    return list(page.body["value"])


@pytest.mark.parametrize("body", UNDECODABLE.values(), ids=UNDECODABLE)
@pytest.mark.parametrize("queue", [EVENTS_QUEUE, "steps-prod", "reports-prod"])
def test_whatever_cannot_be_read_is_one_row_and_hides_no_other(
    queue: str, body: bytes, api: Api, queues: FakeQueues
) -> None:
    readable = queues.bury(queue, registered())
    dead = queues.bury(queue, body)
    [first, second] = failures(api)
    assert [first["id"], second["id"]] == [readable, dead]
    assert (second["kind"], second["replay"]["safe"]) == ("bug", False)
    assert second["replay"]["why"].startswith("it cannot be read: ")
    assert outcomes(replay(api, ids=[dead])) == {dead: "refused"}


@pytest.mark.parametrize("body", UNDECODABLE.values(), ids=UNDECODABLE)
def test_what_is_discarded_leaves_its_queue_and_stays_in_the_journal(body: bytes, api: Api, queues: FakeQueues) -> None:
    dead = queues.bury("steps-prod", body, message_id="poison")
    assert outcomes(discard(api, ids=[dead])) == {dead: "discarded"}
    assert failures(api) == []
    [letter] = kept(api)
    content = letter["content"]
    assert (content.encode() if letter["encoding"] == "utf-8" else base64.b64decode(content)) == body
    assert (letter["id"], letter["message_id"], letter["size"]) == (dead, "poison", len(body))
    assert (letter["by"], letter["reason"]) == ("alice", "garbage")
    assert outcomes(discard(api, ids=[dead])) == {dead: "not-found"}


def test_a_letter_that_could_not_be_judged_for_a_bug_is_a_row_too(
    api: Api, queues: FakeQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = queues.bury(EVENTS_QUEUE, registered())

    def broken(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("shared.coordinator.routing.requests", broken)
    [failure] = failures(api)
    assert (failure["id"], failure["replay"]["safe"]) == (dead, False)
    assert "a bug in this app prevented a verdict (TypeError)" in failure["replay"]["why"]
    assert outcomes(discard(api, ids=[dead])) == {dead: "discarded"}


def test_the_promotion_that_a_discarded_command_names_notes_it(api: Api, queues: FakeQueues) -> None:
    promotion = api.start("1")
    dead = queues.bury("steps-dev", api.steps[0])
    assert outcomes(discard(api, ids=[dead])) == {dead: "discarded"}
    journal = api.get(f"promotions/{promotion}").body["journal"]
    [line] = [line for line in journal if line["what"] == "discarded"]
    assert line["text"] == f"alice: garbage; dead letter {dead}"


def test_a_filter_means_dead_letters_alone(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    gone = [queues.bury("steps-prod", NESTED), queues.bury("steps-prod", b"")]
    other = queues.bury("steps-test", NESTED)
    assert outcomes(discard(api, filter={"queue": "steps-prod"}, dry_run=True)) == dict.fromkeys(gone, "discardable")
    assert outcomes(discard(api, filter={"queue": "steps-prod"})) == dict.fromkeys(gone, "discarded")
    assert [failure["id"] for failure in failures(api)] == [promotion, other]
    assert outcomes(discard(api, filter={})) == {other: "discarded"}
    assert len(kept(api)) == 3


def test_a_promotion_is_not_discarded(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert outcomes(discard(api, ids=[promotion])) == {promotion: "refused"}
    assert [failure["id"] for failure in failures(api)] == [promotion]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nope", "there is no such failure; the id of a dead letter is QUEUE:NUMBER"),
        ("churn-eu/3", "there is no such failure"),
        ("steps-nowhere:5", "there is no queue steps-nowhere; the queues are promotion-events, steps-dev, "),
        ("steps-prod:five", "'five' is no number of a message"),
        ("steps-prod:5", "there is no such dead letter any more; it may have been handled already"),
    ],
)
def test_an_id_that_names_nothing_is_not_found_and_says_why(
    named: str, says: str, api: Api, queues: FakeQueues
) -> None:
    answer = discard(api, ids=[named])
    assert outcomes(answer) == {named: "not-found"}
    assert answer.body["value"][0]["text"].startswith(says)


def test_what_somebody_else_has_or_what_is_out_of_reach_is_left(api: Api, queues: FakeQueues) -> None:
    dead = queues.bury("steps-prod", NESTED)
    [letter] = queues.buried["steps-prod"].values()
    queues.held.add(letter.number)
    assert outcomes(discard(api, ids=[dead])) == {dead: "not-reached"}
    assert [failure["id"] for failure in failures(api)] == [dead]


def test_only_an_operator_who_gives_a_reason_may(api: Api, queues: FakeQueues) -> None:
    dead = queues.bury("steps-prod", NESTED)
    assert discard(api, BOB, ids=[dead]).status == 403
    assert discard(api, {}, ids=[dead]).status == 403
    assert api.post("failures/discard", {"ids": [dead]}, ALICE).status == 400
    assert discard(api, reason=" ", ids=[dead]).status == 400
    assert discard(api).status == 400
    assert [failure["id"] for failure in failures(api)] == [dead]
    assert kept(api) == []


def test_the_journal_is_read_in_pages(api: Api, queues: FakeQueues) -> None:
    ids = {queues.bury("steps-prod", b"%d" % number) for number in range(3)}
    discard(api, ids=sorted(ids))
    first = api.get("failures/discarded?top=2").body
    second = api.get(first["next_link"].partition("/api/")[2]).body
    assert {letter["id"] for letter in [*first["value"], *second["value"]]} == ids
    assert second["next_link"] is None
    assert api.get("failures/discarded?queue=x").status == 400
    assert api.get("failures/discarded?continuation=x").status == 400
