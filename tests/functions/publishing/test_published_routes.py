"""A published route is called `SOURCE/NAME`: holds, releases and plans find it, and its pipelines, by that name."""

from collections.abc import Mapping

import pytest

from tests.config.teams import CHURN
from tests.functions.conftest import ALICE, Api
from tests.functions.publishing.test_publishing import published

STAGE = "{environment: prod, run: {compute: serverless}}"
TRAINING = f"  training: {{from: dev, pipelines: {{experiment: churn}}, stages: [{STAGE}]}}\n"
FILES: Mapping[str, bytes] = {**CHURN, "promotion.yml": CHURN["promotion.yml"] + TRAINING.encode()}


@pytest.mark.parametrize(
    "scope",
    [
        "churn-team/scores",
        "churn-team/scores/churn-eu",
        "churn-team/scores/*/test",
        "churn-team/scores/churn-eu/test",
        "churn-team/training",
        "churn-team/training/*/prod",
        "churn-team/training/churn-team/training",
        "churn-team/training/churn-team/training/prod",
    ],
)
def test_what_is_held_of_a_published_route_is_released_by_the_same_name(scope: str, api: Api) -> None:
    published(api, FILES)
    held = api.post("holds", {"scope": scope, "reason": "audit"}, ALICE)
    assert held.status == 202, held.body
    assert [each["scope"] for each in held.body["value"]] == [scope]
    released = api.post("holds/release", {"scope": scope, "reason": "over"}, ALICE)
    assert (released.status, released.body["value"]) == (202, []), released.body


def test_a_hold_on_a_published_route_keeps_its_promotions_out(api: Api) -> None:
    published(api, FILES)
    api.post("holds", {"scope": "churn-team/scores/*/test", "reason": "audit"}, ALICE)
    promotion = api.start("1")
    assert api.steps == []
    [wait] = api.get(f"promotions/{promotion}").body["waits"]
    assert "the hold on churn-team/scores/*/test" in wait["for"]


def test_the_hold_of_a_rollback_on_a_published_route_can_be_released(api: Api) -> None:
    published(api, FILES)
    api.start("1")
    api.run()
    second = api.start("2")
    api.run()
    rolled_back = api.post(f"promotions/{second}/roll-back", {"reason": "wrong answers"}, ALICE)
    assert rolled_back.status == 202, rolled_back.body
    api.run()
    body = {"scope": "churn-team/scores/churn-eu/test", "reason": "mended"}
    released = api.post("holds/release", body, ALICE)
    assert (released.status, released.body.get("done")) == (
        202,
        "churn-team/scores/churn-eu/test is no longer held, by alice: mended",
    )
    [lane] = api.get("routes?route=churn-team/scores").body["value"]
    assert [stage["hold"] for stage in lane["stages"]] == [None]


def test_a_hold_outlives_its_route_and_can_still_be_released(api: Api) -> None:
    first = published(api, FILES)
    api.post("holds", {"scope": "churn-team/training/*/prod", "reason": "audit"}, ALICE)
    published(api, CHURN, expected=first)
    released = api.post("holds/release", {"scope": "churn-team/training/*/prod", "reason": "over"}, ALICE)
    assert (released.status, released.body["value"]) == (202, []), released.body


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ("churn-team", "There is no route churn-team. Routes: churn-team/scores, churn-team/training."),
        ("churn-team/scores/rent", "Route churn-team/scores does not take rent."),
        ("churn-team/scores/*/prd", "Route churn-team/scores has no stage prd. Its stages: test."),
    ],
)
def test_what_is_misspelt_is_said_of_the_published_name(scope: str, says: str, api: Api) -> None:
    published(api, FILES)
    answer = api.post("holds", {"scope": scope, "reason": "audit"}, ALICE)
    assert (answer.status, answer.body["detail"][: len(says)]) == (404, says)


def test_a_plan_of_a_published_pipeline_is_found_by_its_escaped_name(api: Api) -> None:
    published(api, FILES)
    planned = api.get("plans/churn-team%2Ftraining/brave_fox")
    assert planned.status == 200, planned.body
    assert planned.body["promotion"]["route"] == "churn-team/training"
