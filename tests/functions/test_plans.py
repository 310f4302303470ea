"""`GET /plans/…`: what would happen to a version, without anything happening."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.messages import Failed, FailureKind, Outcome, Retry, RunStep, Succeeded
from tests.functions.conftest import ALICE, Api


def test_a_plan_shows_the_promotion_as_it_would_start_and_starts_nothing(api: Api) -> None:
    planned = api.get("plans/churn-eu/7").body
    assert planned["promotion"]["route"] == "churn"
    assert api.bus.commands == []
    assert api.get("promotions").body["value"] == []
    started = api.post("promotions", {"model": "churn-eu", "version": "7", "reason": "x"}).body
    steps = [[step["name"] for step in stage["steps"]] for stage in planned["promotion"]["stages"]]
    assert steps == [[step["name"] for step in stage["steps"]] for stage in started["stages"]]
    approvals = [stage["approval"] for stage in planned["promotion"]["stages"]]
    assert [each and each["min"] for each in approvals] == [
        stage["approval"] and stage["approval"]["min"] for stage in started["stages"]
    ]


def test_gates_have_the_figures_that_earlier_promotions_and_the_champion_saw(api: Api) -> None:
    def gates() -> list[tuple[str, str, float | None, float | None]]:
        found = [gate for stage in api.get("plans/churn-eu/7").body["stages"] for gate in stage["gates"]]
        return [(each["step"], each["metric"], each["candidate"], each["champion"]) for each in found]

    def saw(auc: float) -> Succeeded:
        return Succeeded({"metrics": {"auc": auc, "loss": 0.3}})

    assert gates() == [("validate", "auc", None, None)]
    api.start("6")
    api.run({("test", "share"): saw(0.9)})
    assert gates() == [("validate", "auc", None, 0.9)], "version 6 serves test"
    api.start("7")
    api.run({("test", "share"): saw(0.91), ("test", "deploy"): Failed("it broke", FailureKind.BUG)})
    assert gates() == [("validate", "auc", 0.91, 0.9)], "version 7 was measured before it failed"


@pytest.mark.parametrize(
    ("scope", "stages"), [("everything", ["test", "prod"]), ("churn/*/prod", ["prod"]), ("fraud", [])]
)
def test_what_operators_hold_is_named_with_who_why_and_until_when(scope: str, stages: list[str], api: Api) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    body = {"scope": scope, "reason": "audit", "until": tomorrow.isoformat()}
    assert api.post("holds", body, ALICE).status == 202
    planned = api.get("plans/churn-eu/7").body
    held = {stage["name"]: stage["hold"] for stage in planned["stages"] if stage["hold"]}
    assert held == dict.fromkeys(stages, f"held with {scope} by alice until {tomorrow:%Y-%m-%d %H:%M} UTC: audit")
    assert planned["promotion"]["stages"][0]["status"] == ("queued" if scope == "everything" else "running")


def test_a_gate_says_whether_its_step_measures_anew(api: Api) -> None:
    gates = [gate for stage in api.get("plans/churn-eu/99").body["stages"] for gate in stage["gates"]]
    assert {(gate["step"], gate["measured"]) for gate in gates} == {("validate", False)}


def test_what_serves_and_what_is_in_the_way_is_named(api: Api) -> None:
    first = api.post("promotions", {"model": "churn-eu", "version": "6", "reason": "x"}).body
    planned = api.get("plans/churn-eu/7").body
    assert planned["stages"][0]["queue"] == ["6"]
    api.run({("test", "deploy"): Failed("it broke", FailureKind.BUG)})
    again = api.get("plans/churn-eu/6").body
    assert [(each["id"], each["status"]) for each in again["earlier"]] == [(first["id"], "failed")]
    assert api.get("plans/churn-eu/7").body["stages"][0]["queue"] == []


def test_whether_the_version_exists_is_said_as_soon_as_a_step_has_looked(api: Api) -> None:
    def known() -> tuple[bool | None, str | None]:
        plan = api.get("plans/churn-eu/99").body
        return plan["found"], plan["missing"]

    assert known() == (None, None)
    api.start("99")
    assert known() == (None, None)
    api.run({("test", "share"): Failed("There is no version 99 in dev, workspace ws-dev", FailureKind.NOT_FOUND)})
    assert known() == (False, "There is no version 99 in dev, workspace ws-dev")
    api.start("99")
    api.run({("test", "deploy"): Failed("There is no image", FailureKind.NOT_FOUND)})
    assert known() == (True, None)


def test_the_quota_is_what_the_environments_own_worker_would_see_now(api: Api) -> None:
    asked: list[RunStep] = []

    def look(command: RunStep) -> Outcome | None:
        asked.append(command)
        if command.environment == "test":
            return Succeeded({"instances": 1, "cores": 4, "left": 12})
        return Failed("too little is left", FailureKind.QUOTA, evidence={"cores": 400, "left": 12})

    api.app.look = look  # type: ignore[method-assign]
    first, second = (stage["capacity"] for stage in api.get("plans/churn-eu/7?capacity=true").body["stages"])
    assert first == {"instances": 1, "cores": 4, "left": 12}
    assert second == {"cores": 400, "left": 12, "refused": "too little is left"}
    assert [(each.step, each.environment) for each in asked] == [("check_capacity", "test"), ("check_capacity", "prod")]
    assert all(each.not_after > each.not_before for each in asked)
    assert api.get("promotions").body["value"] == []


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (None, "The app of test reads it when the promotion gets there."),
        (Retry(timedelta(seconds=5), "Azure is busy"), "Azure is busy"),
        (Failed("no right to read", FailureKind.PERMISSION), "no right to read"),
    ],
)
def test_a_quota_that_cannot_be_read_is_said_to_be_unknown(api: Api, outcome: Outcome | None, says: str) -> None:
    api.app.look = lambda command: outcome  # type: ignore[method-assign]
    assert api.get("plans/churn-eu/7?capacity=true").body["stages"][0]["capacity"] == {"unknown": says}
    assert api.get("plans/churn-eu/7").body["stages"][0]["capacity"] is None
    assert api.get("plans/churn-eu/7?capacity=false").status == 400


def test_a_plan_for_what_no_route_takes_is_refused_like_a_start(api: Api) -> None:
    refused = api.get("plans/rent/1")
    assert refused.status == 400
    assert "rent is taken by no route" in refused.body["detail"]
    assert api.get("plans/churn-eu/latest").status == 400
    assert api.get("plans/churn-eu/7?rout=churn").status == 400


def test_a_stage_says_in_which_workspace_it_is(api: Api) -> None:
    started = api.post("promotions", {"model": "churn-eu", "version": "7", "reason": "x"}, ALICE).body
    assert all(stage["workspace"].startswith("/subscriptions/") for stage in started["stages"])
