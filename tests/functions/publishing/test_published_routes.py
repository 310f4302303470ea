"""A published route is called `SOURCE/NAME`: holds, releases and plans find it, and its pipelines, by that name."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from shared.config import bundle
from shared.ports import Publication
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


class _OtherProcess:
    """Publishes to the same storage as the app, without telling it."""

    def __init__(self, api: Api) -> None:
        self._bundles = api.app.bundles

    def publish(self, files: Mapping[str, bytes]) -> None:
        digest = bundle.digest_of(files)
        self._bundles.keep(digest, bundle.archived(files))
        before = self._bundles.pointer("churn-team")
        at = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self._bundles.publish("churn-team", Publication(digest, "id-paul", "paul", "a test", at), before)


def test_what_another_process_has_just_published_is_there_for_whoever_asks(api: Api) -> None:
    other = _OtherProcess(api)
    assert api.get("routes").body["configured"] == []
    other.publish(CHURN)
    assert api.get("routes").body["configured"] == ["churn-team/scores"]
    other.publish(FILES)
    assert api.get("plans/churn-team%2Ftraining/brave_fox").status == 200
    other.publish(CHURN)
    assert api.post("holds", {"scope": "churn-team/training", "reason": "audit"}, ALICE).status == 404
    other.publish(FILES)
    assert api.post("holds", {"scope": "churn-team/training", "reason": "audit"}, ALICE).status == 202
    assert api.get("routes?model=churn-eu").body["configured"] == ["churn-team/scores"]


def test_a_promotion_starts_with_what_another_process_has_just_published(api: Api) -> None:
    assert api.get("routes").body["configured"] == []
    _OtherProcess(api).publish(CHURN)
    assert api.start("1")


def test_a_plan_of_a_published_pipeline_is_found_by_its_escaped_name(api: Api) -> None:
    published(api, FILES)
    planned = api.get("plans/churn-team%2Ftraining/brave_fox")
    assert planned.status == 200, planned.body
    assert planned.body["promotion"]["route"] == "churn-team/training"
