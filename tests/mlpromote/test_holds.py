"""Holding and releasing, and how what is held is shown."""

from datetime import datetime
from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from tests.examples.promotion_document import after
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, lane, summary
from tests.mlpromote.stub import Answer, StubApp

ID = "digits-3-0123456789ab"
FREEZE = {"scope": "everything", "by": "olga", "reason": "Christmas", "since": after(0), "until": None}
PROD = {
    "scope": "churn/*/prod",
    "by": "olga",
    "reason": "audit",
    "since": after(0),
    "until": "2027-01-07T08:00:00+00:00",
}


def held(*holds: dict[str, Any], done: str = "") -> Answer:
    line = {"at": after(0), "what": "set", "who": "olga", "reason": "audit", "scope": "churn/*/prod", "until": None}
    return Answer({"done": done, "value": list(holds), "history": [line]}, 202)


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["hold", "churn/*/prod", "--reason", "audit"], "/api/holds", {"scope": "churn/*/prod", "reason": "audit"}),
        (["freeze", "--reason", "audit"], "/api/holds", {"scope": "everything", "reason": "audit"}),
        (["unfreeze", "--reason", "over"], "/api/holds/release", {"scope": "everything", "reason": "over"}),
        (["release", "churn", "--reason", "over"], "/api/holds/release", {"scope": "churn", "reason": "over"}),
        (
            ["release", "churn", "churn-eu", "prod", "--reason", "over"],
            "/api/holds/release",
            {"scope": "churn/churn-eu/prod", "reason": "over"},
        ),
    ],
)
def test_a_hold_names_its_scope_and_says_what_was_done(
    arguments: list[str], path: str, body: dict[str, str], mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(held(PROD, done="it is done, by olga"))
    ended = mlpromote(*arguments)
    assert (ended.code, ended.output.splitlines()[0]) == (0, "it is done, by olga")
    assert "churn/*/prod" in ended.output
    assert (app.asked[0].path, app.asked[0].body) == (path, body)


@pytest.mark.parametrize(
    "text", ["2026-12-01T08:00:00+01:00", "2026-12-01T07:00Z", "2026-12-01T08:00", "2026-12-01 08:00", "2026-12-01"]
)
def test_until_is_sent_with_its_offset_and_means_local_time_without_one(
    text: str, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(held())
    assert mlpromote("freeze", "--until", text, "--reason", "x").code == 0
    sent = datetime.fromisoformat(app.asked[0].body["until"])
    assert sent.tzinfo is not None
    assert sent == datetime.fromisoformat(text).astimezone()


def test_a_time_that_is_none_is_refused_here(mlpromote: CommandLine, app: StubApp) -> None:
    ended = mlpromote("freeze", "--until", "tomorrow", "--reason", "x")
    assert ended.code == ExitCode.USAGE
    assert "must be a time, such as 2026-12-01T08:00, not 'tomorrow'" in " ".join(ended.errors.split())
    assert app.asked == []


def test_all_holds_are_listed_also_those_of_rollbacks(mlpromote: CommandLine, app: StubApp) -> None:
    answers = {"/api/holds": held(FREEZE, PROD), "/api/routes": Answer({"value": [lane()], "next_link": None})}
    app.will_answer(lambda request: answers[request.path])
    text = " ".join(mlpromote("holds", "--history").output.split())
    assert "everything it is released olga 12 h Christmas" in text
    assert "churn/*/prod 2027-01-07 08:00:00 UTC" in text
    assert "digits/digits/prod it is released alice 12 h strange answers" in text
    assert "set churn/*/prod olga audit" in text
    assert "set churn" not in mlpromote("holds").output
    scopes = [each["scope"] for each in mlpromote("holds", "--json").document["value"]]
    assert scopes == ["everything", "churn/*/prod", "digits/digits/prod"]


def test_without_any_hold_that_is_said(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(held(done="churn is no longer held, by olga: over"))
    ended = mlpromote("release", "churn", "--reason", "over")
    assert ended.output.splitlines() == ["churn is no longer held, by olga: over", "nothing is held"]


def test_a_list_says_what_keeps_a_promotion_waiting(mlpromote: CommandLine, app: StubApp) -> None:
    waiting = {**summary(), "waits_for": "prod: the hold on churn to be released, set by olga: audit"}
    app.will_answer(Answer({"value": [waiting], "next_link": None}))
    assert "prod: the hold on churn" in " ".join(mlpromote("list").output.split())


def test_a_promotion_says_when_its_wait_ends_by_itself(mlpromote: CommandLine, app: StubApp) -> None:
    wait = {"stage": "prod", "for": "soak: test must serve it for 24 h", "since": after(0), "until": after(900)}
    app.will_answer(Answer(detailed(waits=[{**wait, "ends": after(600)}])))
    text = " ".join(mlpromote("show", ID).output.split())
    assert "prod waits for soak: test must serve it for 24 h" in text
    assert f"ends {datetime.fromisoformat(after(600)):%Y-%m-%d %H:%M:%S} UTC" in text


def test_routes_say_which_hold_is_on_a_stage_and_until_when(mlpromote: CommandLine, app: StubApp) -> None:
    test, prod = lane()["stages"]
    stage = {**prod, "hold": {**PROD, "promotion": None}}
    app.will_answer(Answer({"value": [lane(stages=[test, stage])], "next_link": None}))
    text = " ".join(mlpromote("routes").output.split())
    assert "with churn/*/prod by olga until 2027-01-07 08:00:00 UTC" in text
