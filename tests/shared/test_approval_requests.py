"""What people may say in the app of an environment that takes its approvals itself."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.config import Policy
from shared.core.events import Person
from shared.http.approval_requests import ApprovalRequests
from shared.http.refusals import BadRequestError, ConflictError, NotPermittedError, NotThereError
from tests.config.teams import GROUP
from tests.contract.test_approvals import NOW, REQUEST
from tests.fakes.approvals import FakeApprovals

BOB, CAROL, DORA = (Person(f"id-{name}", name, ("Promotion.Approver",)) for name in ("bob", "carol", "dora"))
OWN = {"approvals": {"min": 2, "taken_by": "environment"}, "not_author": True}


class Prod:
    """Prod's own app, a minute after it has asked."""

    def __init__(self, **policy: Any) -> None:
        self.approvals = FakeApprovals()
        self.approvals.ask(REQUEST)
        self.now = NOW + timedelta(minutes=1)
        found = {"prod": Policy.model_validate(OWN | policy)}
        self.requests = ApprovalRequests(self.approvals, found.get, lambda: self.now)

    def say(self, decision: str, by: Person, evidence: str = REQUEST.digest, **more: str) -> str:
        body = json.dumps({"reason": "because", "evidence": evidence, **more}).encode()
        answer = self.requests.decide(decision, REQUEST.promotion, "prod", body, by)
        return str(answer["done"])

    @property
    def given(self) -> list[tuple[str, bool]]:
        said = self.approvals.decisions(REQUEST.promotion, "prod", REQUEST.digest)
        return [(each.name, each.approves) for each in said]


def test_open_requests_are_shown_with_everything_to_be_deployed_and_all_decisions() -> None:
    prod = Prod()
    prod.say("approve", BOB)
    [shown] = prod.requests.waiting()["value"]
    assert shown == prod.requests.one(REQUEST.promotion, "prod")
    assert (shown["model"], shown["version"], shown["evidence"], shown["min"]) == ("churn-eu", "1", REQUEST.digest, 2)
    assert shown["shown"] == REQUEST.shown
    assert [(one["name"], one["decision"], one["reason"]) for one in shown["decisions"]] == [
        ("bob", "approved", "because")
    ]


def test_a_decision_is_kept_once_per_person_for_the_digest_that_was_looked_at() -> None:
    prod = Prod()
    assert prod.say("approve", BOB) == "approved by bob: because"
    assert prod.say("reject", CAROL) == "rejected by carol: because"
    prod.now += timedelta(minutes=1)
    assert prod.say("approve", BOB) == "nothing: this was already done"
    with pytest.raises(ConflictError, match="You already approved it"):
        prod.say("reject", BOB)
    assert prod.given == [("bob", True), ("carol", False)]


def test_a_person_without_the_role_cannot_decide() -> None:
    prod = Prod()
    for decision in ("approve", "reject"):
        with pytest.raises(NotPermittedError):
            prod.say(decision, Person("id-m", "mallory", ("Promotion.Operator",)))
    assert prod.given == []


def test_the_roles_are_those_of_the_environments_own_policy() -> None:
    prod = Prod(approvals={"min": 1, "roles": ["Prod.Owner"], "taken_by": "environment"})
    with pytest.raises(NotPermittedError, match=r"bob needs the role Prod\.Owner"):
        prod.say("approve", BOB)
    prod.say("approve", replace(BOB, roles=("Prod.Owner",)))
    assert prod.given == [("bob", True)]


def test_the_record_says_under_which_of_the_policys_roles_and_groups() -> None:
    prod = Prod(approvals={"min": 1, "groups": [GROUP], "taken_by": "environment"})
    prod.say("approve", replace(BOB, roles=(*BOB.roles, "Promotion.Reader"), groups=("elsewhere", GROUP)))
    [kept] = prod.approvals.decisions(REQUEST.promotion, "prod", REQUEST.digest)
    assert (kept.roles, kept.groups) == (("Promotion.Approver",), (GROUP,))


def test_the_author_may_reject_but_not_approve() -> None:
    prod = Prod()
    with pytest.raises(NotPermittedError, match="dora made this model"):
        prod.say("approve", DORA)
    prod.say("reject", DORA)
    assert prod.given == [("dora", False)]
    others = Prod(not_author=False)
    others.say("approve", DORA)
    assert others.given == [("dora", True)]


def test_the_requester_may_not_approve_the_promotion() -> None:
    prod = Prod()
    prod.approvals.ask(replace(REQUEST, requester=BOB.id))
    with pytest.raises(NotPermittedError, match="bob requested this promotion"):
        prod.say("approve", BOB)


def test_an_approval_of_another_digest_does_not_count() -> None:
    prod = Prod()
    with pytest.raises(ConflictError, match="The evidence has changed since") as refused:
        prod.say("approve", BOB, "e" * 40)
    assert refused.value.more["evidence"] == REQUEST.digest
    assert prod.given == []


def test_after_its_time_nothing_is_decided_any_more() -> None:
    prod = Prod()
    prod.now = REQUEST.until
    with pytest.raises(ConflictError, match="This request expired"):
        prod.say("approve", BOB)
    assert prod.requests.waiting() == {"value": []}


def test_an_environment_whose_policy_no_longer_says_so_takes_nothing() -> None:
    prod = Prod(approvals=2)
    with pytest.raises(ConflictError, match="prod no longer takes approvals here"):
        prod.say("approve", BOB)
    assert prod.requests.waiting() == {"value": []}


def test_what_was_not_asked_is_not_there() -> None:
    prod = Prod()
    with pytest.raises(NotThereError, match="There is no approval request for stage test"):
        prod.requests.one(REQUEST.promotion, "test")


@pytest.mark.parametrize("body", [b"{}", b"[", b'{"reason": "x"}', b'{"reason": "x", "evidence": ""}'])
def test_a_body_without_reason_and_evidence_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        Prod().requests.decide("approve", REQUEST.promotion, "prod", body, BOB)
