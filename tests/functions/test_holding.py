"""Operators hold and release over HTTP, and see what is held."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.events import RolledBack
from tests.core.people import OPERATOR
from tests.core.world import KEY
from tests.functions.conftest import ALICE, BOB, Api

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(second=0, microsecond=0)


def hold(api: Api, scope: str, **more: str) -> None:
    answer = api.post("holds", {"scope": scope, "reason": "audit", **more}, ALICE)
    assert answer.status == 202, answer.body


def release(api: Api, scope: str) -> str:
    answer = api.post("holds/release", {"scope": scope, "reason": "over"}, ALICE)
    assert answer.status == 202, answer.body
    return str(answer.body["done"])


def stages(api: Api) -> dict[str, object]:
    [lane] = api.get("routes").body["value"]
    return {stage["name"]: stage for stage in lane["stages"]}


@pytest.mark.parametrize("scope", ["everything", "churn", "churn/churn-eu", "churn/*/test", "churn/churn-eu/test"])
def test_a_hold_keeps_promotions_out_also_of_models_that_are_new(scope: str, api: Api) -> None:
    hold(api, scope, until=TOMORROW.isoformat())
    promotion = api.start("1")
    assert api.steps == []
    [wait] = api.get(f"promotions/{promotion}").body["waits"]
    assert wait["for"] == f"the hold on {scope} to end at {TOMORROW:%Y-%m-%d %H:%M} UTC, set by alice: audit"
    assert wait["ends"] == TOMORROW.isoformat()
    [listed] = api.get("promotions").body["value"]
    assert listed["waits_for"] == f"test: {wait['for']}"
    shown = stages(api)["test"]
    assert isinstance(shown, dict)
    assert (shown["hold"]["by"], shown["hold"]["scope"], shown["hold"]["promotion"]) == ("alice", scope, None)


def test_a_release_starts_at_once_what_had_waited(api: Api) -> None:
    hold(api, "everything")
    promotion = api.start("1", through="test")
    assert release(api, "everything") == "everything is no longer held, by alice: over"
    assert [command.step for command in api.steps] == ["share"]
    api.run()
    assert api.get(f"promotions/{promotion}").body["status"] == "succeeded"
    journal = [line["what"] for line in api.get(f"promotions/{promotion}").body["journal"]]
    assert journal[:3] == ["requested", "held", "stage-started"]


def test_a_hold_says_what_was_done_and_is_listed_with_its_history(api: Api) -> None:
    answer = api.post("holds", {"scope": "churn", "reason": "audit", "until": TOMORROW.isoformat()}, ALICE)
    assert answer.body["done"] == f"churn is held until {TOMORROW:%Y-%m-%d %H:%M} UTC, by alice: audit"
    hold(api, "everything")
    release(api, "churn")
    found = api.get("holds").body
    assert [(each["scope"], each["by"], each["until"]) for each in found["value"]] == [("everything", "alice", None)]
    history = [(line["what"], line["scope"], line["reason"]) for line in found["history"]]
    assert history == [("released", "churn", "over"), ("set", "everything", "audit"), ("set", "churn", "audit")]


def test_a_scope_of_three_parts_also_releases_the_hold_of_a_rollback(api: Api) -> None:
    for version in ("1", "2"):
        promotion = api.start(version, through="test")
        api.run()
    api.app.lanes.apply(RolledBack(KEY, promotion, OPERATOR, "odd answers", "test"))
    api.run()
    hold(api, "churn/churn-eu/test")
    assert release(api, "churn/churn-eu/test") == "churn/churn-eu/test is no longer held, by alice: over"
    assert stages(api)["test"]["hold"] is None  # type: ignore[index]
    answer = api.post("holds/release", {"scope": "churn/churn-eu/test", "reason": "over"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (
        409,
        "there is no hold on churn/churn-eu/test, and on nothing else",
    )


def test_only_operators_hold_and_release(api: Api) -> None:
    for path in ("holds", "holds/release"):
        assert api.post(path, {"scope": "churn", "reason": "x"}, BOB).status == 403
        assert api.post(path, {"scope": "churn", "reason": "x"}).status == 403
    assert api.get("holds").body == {"value": [], "history": []}


def test_a_freeze_is_set_also_while_the_queues_cannot_be_reached(api: Api) -> None:
    api.bus.down = True
    hold(api, "everything")
    api.bus.down = False
    api.start("1")
    assert api.steps == []
    api.bus.down = True
    assert release(api, "everything") == "everything is no longer held, by alice: over"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"scope": "chrn"}, 404, "There is no route chrn. Routes: churn, fraud."),
        ({"scope": "churn/fraud"}, 404, "Route churn does not take fraud."),
        ({"scope": "churn/*/prd"}, 404, "Route churn has no stage prd. Its stages: test, prod."),
        ({"scope": "churn//prod"}, 400, "scope: must be ROUTE, ROUTE/MODEL, ROUTE/MODEL/STAGE (MODEL may be *)"),
        ({"scope": "*"}, 400, "scope: must be ROUTE"),
        ({"scope": "churn", "until": "tomorrow"}, 400, "until: must be a time with its offset, such as 2026-12-01T"),
        ({"scope": "churn", "until": "2026-12-01T08:00"}, 400, "until: must be a time with its offset"),
        ({"scope": "churn", "until": "2026-13-01T08:00Z"}, 400, "until: must be a time with its offset"),
        ({"scope": "churn", "until": "2020-12-01T08:00Z"}, 409, "until must be in the future, and within 365 days"),
    ],
)
def test_what_is_wrong_is_said(body: dict[str, str], status: int, says: str, api: Api) -> None:
    answer = api.post("holds", {"reason": "audit", **body}, ALICE)
    assert (answer.status, answer.body["detail"][: len(says)]) == (status, says)
    assert api.get("holds").body["value"] == []
