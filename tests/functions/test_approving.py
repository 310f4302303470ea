"""Approving and rejecting over HTTP: who may, what it is bound to, and what is shown."""

from datetime import datetime, timedelta

import pytest

from shared.core.messages import Failed, FailureKind, Succeeded
from tests.functions.conftest import ALICE, BOB, CAROL, ISSUER, Api


@pytest.fixture
def waiting(api: Api) -> str:
    """A promotion, requested by alice, that waits for two people before prod."""
    promotion = api.start("1", ALICE)
    api.run()
    return promotion


def approve(api: Api, promotion: str, headers: dict[str, str] | None = None, **more: str) -> tuple[int, str]:
    """The status, and what was done or is wrong."""
    answer = api.post(f"promotions/{promotion}/approve", {"reason": "looks fine", **more}, headers)
    return answer.status, answer.body.get("done") or answer.body["detail"]


def test_a_promotion_goes_on_at_the_second_different_person(waiting: str, api: Api) -> None:
    assert approve(api, waiting, BOB) == (202, "approved by bob: looks fine (1 of 2)")
    assert approve(api, waiting, BOB) == (202, "nothing: this was already done")
    assert api.bus.commands == []
    assert approve(api, waiting, CAROL) == (202, "approved by carol: looks fine (2 of 2)")
    assert approve(api, waiting, CAROL) == (202, "nothing: this was already done")
    api.run()
    assert api.get(f"promotions/{waiting}").body["status"] == "succeeded"


def test_who_looks_sees_the_evidence_who_is_asked_and_until_when(waiting: str, api: Api) -> None:
    approve(api, waiting, BOB)
    shown = api.get(f"promotions/{waiting}").body
    [wait] = shown["waits"]
    assert (wait["stage"], wait["for"]) == (
        "prod",
        "approval: 1 of 2 given, by people with the role Promotion.Approver",
    )
    since, until = (datetime.fromisoformat(wait[key]) for key in ("since", "until"))
    assert until - since == timedelta(hours=72)
    prod = shown["stages"][1]
    assert [step["evidence"] for step in prod["steps"] if step["name"] == "validate"] == [{"saw": "validate"}]
    approval = prod["approval"]
    assert (approval["min"], approval["roles"], approval["not_requester"]) == (2, ["Promotion.Approver"], True)
    assert [(one["name"], one["reason"]) for one in approval["given"]] == [("bob", "looks fine")]
    assert shown["stages"][0]["approval"] is None


def test_an_approval_counts_for_the_evidence_that_was_looked_at(waiting: str, api: Api) -> None:
    evidence = api.get(f"promotions/{waiting}").body["stages"][1]["approval"]["evidence"]
    status, detail = approve(api, waiting, BOB, evidence="0" * 16)
    assert (status, detail) == (409, "the evidence has changed since you saw it: review it again")
    assert approve(api, waiting, BOB, evidence=evidence)[0] == 202


def test_a_function_key_alone_approves_nothing(waiting: str, api: Api) -> None:
    status, detail = approve(api, waiting)
    assert status == 403
    assert detail.startswith("Sign in")


def test_without_the_role_nobody_approves(waiting: str, api: Api) -> None:
    assert approve(api, waiting, ISSUER.headers("mallory", "Promotion.Reader")) == (
        403,
        "mallory needs the role Promotion.Approver",
    )
    assert approve(api, waiting, ALICE) == (403, "alice needs the role Promotion.Approver")


def test_nobody_approves_what_they_asked_for(waiting: str, api: Api) -> None:
    also_approver = ISSUER.headers("alice", "Promotion.Operator", "Promotion.Approver")
    assert approve(api, waiting, also_approver) == (403, "alice requested this promotion and so may not approve it")


def test_one_rejection_ends_it(waiting: str, api: Api) -> None:
    rejected = api.post(f"promotions/{waiting}/reject", {"reason": "biased"}, BOB)
    assert (rejected.status, rejected.body["done"]) == (202, "rejected by bob: biased")
    assert rejected.body["promotion"]["status"] == "rejected"
    status, detail = approve(api, waiting, CAROL)
    assert (status, detail) == (409, "nothing waits for approval; the promotion is rejected")


def test_a_conflict_comes_with_the_promotion_as_it_is(api: Api) -> None:
    promotion = api.start("1")
    early = api.post(f"promotions/{promotion}/approve", {"reason": "now"}, BOB)
    assert early.status == 409
    assert (early.body["promotion"]["id"], early.body["promotion"]["status"]) == (promotion, "running")


def test_new_evidence_takes_new_approval(waiting: str, api: Api) -> None:
    approve(api, waiting, BOB)
    approve(api, waiting, CAROL)
    api.run({("prod", "deploy"): Failed("init() raised", FailureKind.CONTAINER_CRASH)})
    again = api.post(f"promotions/{waiting}/retry", {"reason": "mended", "from_step": "validate"}, ALICE)
    assert again.status == 202, again.body
    api.run({("prod", "validate"): Succeeded({"saw": "other metrics"})})
    shown = api.get(f"promotions/{waiting}").body
    assert shown["waits"][0]["for"].startswith("approval: 0 of 2")
    assert approve(api, waiting, BOB)[0] == 202
