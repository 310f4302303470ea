"""`GET /plans/…`: what would happen to a version, without anything happening."""

from shared.core.messages import Failed, FailureKind
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


def test_gates_have_the_figures_that_earlier_promotions_saw(api: Api) -> None:
    gates = [gate for stage in api.get("plans/churn-eu/7").body["stages"] for gate in stage["gates"]]
    assert gates
    assert {gate["candidate"] for gate in gates} == {None}


def test_what_serves_and_what_is_in_the_way_is_named(api: Api) -> None:
    first = api.post("promotions", {"model": "churn-eu", "version": "6", "reason": "x"}).body
    planned = api.get("plans/churn-eu/7").body
    assert planned["stages"][0]["queue"] == ["6"]
    api.run({("test", "deploy"): Failed("it broke", FailureKind.BUG)})
    again = api.get("plans/churn-eu/6").body
    assert [(each["id"], each["status"]) for each in again["earlier"]] == [(first["id"], "failed")]
    assert api.get("plans/churn-eu/7").body["stages"][0]["queue"] == []


def test_a_plan_for_what_no_route_takes_is_refused_like_a_start(api: Api) -> None:
    refused = api.get("plans/rent/1")
    assert refused.status == 400
    assert "rent is taken by no route" in refused.body["detail"]
    assert api.get("plans/churn-eu/latest").status == 400
    assert api.get("plans/churn-eu/7?rout=churn").status == 400


def test_a_stage_says_in_which_workspace_it_is(api: Api) -> None:
    started = api.post("promotions", {"model": "churn-eu", "version": "7", "reason": "x"}, ALICE).body
    assert all(stage["workspace"].startswith("/subscriptions/") for stage in started["stages"])
