"""`POST /promotions`: the choice of the route, the same request twice, and what is recorded."""

import threading

import pytest

from shared.core.message_bodies import encode
from shared.core.messages import Failed, FailureKind, Outcome, RunStep
from shared.core.superseding import MOST_UNKNOWN
from shared.http.authorisation import OPERATOR
from shared.ports import StoreUnavailableError
from tests.functions.conftest import ALICE, ISSUER, Api
from tests.functions.failing import registered
from tests.shared.sent_commands import SentCommands

MISSING = Failed("There is no version 99 in dev, workspace ws-dev", FailureKind.NOT_FOUND)
START = {"model": "churn-eu", "version": "7", "reason": "hotfix"}


def test_a_promotion_starts_at_once_and_is_found_where_the_answer_says(api: Api) -> None:
    started = api.post("promotions", START)
    assert started.status == 202
    assert started.headers["Location"] == f"/api/promotions/{started.body['id']}"
    assert [command.environment for command in api.bus.commands] == ["dev"]
    assert api.get(f"promotions/{started.body['id']}").body == started.body


def test_share_gets_the_metrics_that_any_stage_uses(api: Api) -> None:
    api.post("promotions", START)
    [command] = api.bus.commands
    assert isinstance(command, RunStep)
    assert (command.step, command.options) == ("share", {"metrics": ["auc"], "deployments": ["deployments/churn.yml"]})


def test_a_function_key_alone_may_start(api: Api) -> None:
    started = api.post("promotions", START)
    assert started.body["requested_by"] == "function key"
    assert started.body["journal"][0]["text"] == "churn-eu, version 7 from dev, by function key: hotfix"


def test_who_was_signed_in_is_recorded_with_the_reason(api: Api) -> None:
    started = api.post("promotions", START, ALICE)
    assert started.body["requested_by"] == "alice"
    assert started.body["journal"][0]["text"] == "churn-eu, version 7 from dev, by alice: hotfix"
    kept = api.app.store.promotion(started.body["id"])
    assert kept is not None
    assert kept[0].requester == "id-of-alice"


def test_the_same_request_with_the_same_key_is_the_same_promotion(api: Api) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    first, again = api.post("promotions", START, key), api.post("promotions", START, key)
    assert (again.status, again.body["id"]) == (202, first.body["id"])
    assert len(api.get("promotions").body["value"]) == 1


def test_the_same_request_without_a_key_is_another_promotion(api: Api) -> None:
    assert api.start("7") != api.start("7")


def test_the_same_key_with_another_request_is_refused_and_starts_nothing(api: Api) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    api.post("promotions", START, key)
    other = api.post("promotions", START | {"version": "8"}, key)
    assert (other.status, other.body["title"]) == (422, "Idempotency-Key used before")
    assert [each["version"] for each in api.get("promotions").body["value"]] == ["7"]


def test_the_same_key_of_another_person_is_another_key(api: Api) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    answers = [api.post("promotions", START, key | who) for who in (ALICE, ISSUER.headers("anna", OPERATOR))]
    assert len({answer.body["id"] for answer in answers}) == 2


def test_of_many_at_once_with_the_same_key_comes_one_promotion(api: Api) -> None:
    found = []

    def start() -> None:
        found.append(api.post("promotions", START, {"Idempotency-Key": "k"}).body["id"])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_request_that_was_saved_and_not_sent_is_healed_by_repeating_it(api: Api) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    api.bus.down, api.bus.found_out = True, False
    refused = api.post("promotions", START, key)
    assert refused.status == 503
    assert "is saved and continues by itself" in refused.body["detail"]
    assert len(api.get("promotions").body["value"]) == 1
    api.bus.down = False
    assert api.post("promotions", START, key).status == 202
    assert [command.step for command in api.steps] == ["share"]


def test_what_cannot_be_saved_just_now_is_refused_with_503(api: Api) -> None:
    class Full:
        def load(self, *_: object) -> None:
            raise StoreUnavailableError("database or disk is full")

    api.app.store = Full()  # type: ignore[assignment]
    refused = api.post("promotions", START)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    assert "Try again" in refused.body["detail"]
    assert api.bus.commands == []


def test_while_the_broker_is_known_to_be_away_nothing_is_saved(api: Api) -> None:
    api.bus.down = True
    refused = api.post("promotions", START)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert "Nothing was changed. Try again." in refused.body["detail"]
    assert api.get("promotions").body["value"] == []
    api.bus.down = False
    assert api.post("promotions", START).status == 202


def test_through_ends_the_way_at_a_stage(api: Api) -> None:
    started = api.post("promotions", START | {"through": "test"})
    assert [stage["name"] for stage in started.body["stages"]] == ["test"]
    api.run()
    assert api.get(f"promotions/{started.body['id']}").body["status"] == "succeeded"


def test_a_refused_version_can_be_promoted_again(api: Api) -> None:
    refused = api.start("7")
    api.run({("test", "validate"): Failed("auc is too low", FailureKind.REFUSED)})
    assert api.get(f"promotions/{refused}").body["status"] == "refused"
    again = api.start("7", through="test")
    assert again != refused
    api.run()
    assert api.get(f"promotions/{again}").body["status"] == "succeeded"


def test_an_older_version_that_somebody_asks_for_goes_over_a_newer_one(api: Api) -> None:
    api.start("7", through="test")
    api.run()
    older = api.start("6", through="test")
    api.run()
    assert api.get(f"promotions/{older}").body["status"] == "succeeded"


def test_a_version_that_does_not_exist_leaves_the_one_that_queues_where_it_is(api: Api) -> None:
    """The coordinator cannot read workspaces, so it waits for the first step to look."""

    def answered(command: RunStep) -> Outcome | None:
        return MISSING if command.candidate.version == "99" else None

    api.start("5", through="test")
    api.app.coordinator.advance(encode(registered(version="6")))
    missing = api.get(f"promotions/{api.start('99', through='test')}").body
    assert (missing["status"], api.statuses()["6"]) == ("queued", "queued")
    assert missing["waits"][0]["for"].endswith("; nobody has looked yet whether version 99 exists")
    SentCommands(api.app.lanes, api.bus.commands, answered).run()
    assert api.statuses() == {"5": "succeeded", "6": "running", "99": "failed"}, "prod asks for approval"
    assert api.get(f"promotions/{missing['id']}").body["reason"] == f"test: {MISSING.reason}"


def test_more_than_a_few_versions_that_nobody_has_seen_are_refused(api: Api) -> None:
    for version in range(MOST_UNKNOWN):
        api.start(str(100 + version))
    refused = api.post("promotions", START)
    assert refused.status == 409
    assert "no step has seen yet whether these exist" in refused.body["detail"]
    assert api.get("plans/churn-eu/7").status == 400
    api.app.coordinator.advance(encode(registered(version="200")))
    assert api.statuses()["200"] == "queued", "what an event tells of is never refused"


def test_where_several_routes_take_the_model_one_has_to_be_named(api: Api) -> None:
    unclear = api.post("promotions", START | {"model": "churn-two"})
    assert unclear.status == 400
    assert unclear.body["detail"] == (
        "route: several routes take churn-two; name one of churn (from dev), fraud (from test)"
    )
    for choice in ({"route": "fraud"}, {"source": "test"}):
        assert api.post("promotions", START | {"model": "churn-two"} | choice).body["route"] == "fraud"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"model": "loans"}, "the model does not fit: loans is taken by no route"),
        ({"route": "fraud"}, "route fraud does not fit: churn-eu is taken by route churn from dev"),
        ({"source": "test"}, "source test does not fit: churn-eu is taken by route churn from dev"),
        ({"route": "fraude"}, "route: unknown 'fraude'; configured are churn, fraud"),
        ({"source": "qa"}, "source: unknown 'qa'; configured are dev, test, prod"),
        ({"through": "qa"}, "through: route churn has no stage 'qa'. Its stages: test, prod"),
        ({"versoin": "7"}, "versoin: unknown; known are model, version, reason, source, route, through"),
        ({"version": 7}, "version: must be a string of 1 to 2000 characters"),
        ({"reason": " "}, "reason: must be a string of 1 to 2000 characters"),
        ({"model": "churn/eu"}, "model: must be at most 255 letters, digits, full stops, hyphens and underscores, "
                                "starting with a letter or digit, not 'churn/eu'"),
        ({"reason": "half \ud83d"}, "reason: holds half a character"),
    ],
)  # fmt: skip
def test_an_invalid_request_is_reported_in_words(change: dict[str, object], detail: str, api: Api) -> None:
    answer = api.post("promotions", START | change)
    assert (answer.status, answer.body["detail"]) == (400, detail)
    assert api.get("promotions").body["value"] == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "model: missing"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b"[]", "the body must be a JSON object"),
        (b"\xff", "the body is not JSON: 'utf-8'"),
        (b"[" * 100_000, "the body is too deeply nested"),
        (b'{"model": "churn-eu", "version": "7"}', "reason: missing"),
    ],
)
def test_a_body_that_is_not_one_is_reported_in_words(body: bytes, detail: str, api: Api) -> None:
    answer = api.post("promotions", body)
    assert answer.status == 400
    assert answer.body["detail"].startswith(detail)


def test_an_endless_key_is_refused(api: Api) -> None:
    assert api.post("promotions", START, {"Idempotency-Key": "k" * 256}).status == 400


@pytest.mark.parametrize("label", ["latest", "Latest", "default"])
def test_a_label_is_no_version_and_starts_nothing(label: str, api: Api) -> None:
    answer = api.post("promotions", START | {"version": label})
    assert answer.status == 400
    assert f"'{label}' is a label and no version" in answer.body["detail"]
    assert api.get("promotions").body["value"] == []
