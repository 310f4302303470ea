"""What every record of an environment's own approvals must do, run against each of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite_approvals import SqliteApprovals
from shared.cloud.table_approvals import TableApprovals
from shared.ports import ApprovalDecision, ApprovalRequest, Approvals
from tests.fakes.approvals import FakeApprovals

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REQUEST = ApprovalRequest(
    promotion="churn-eu-1-abcdefabcdef",
    stage="prod",
    environment="prod",
    model="churn-eu",
    version="1",
    digest="d" * 40,
    shown={"gates": [{"gate": "metric auc", "holds": True}], "manifest": {"files": {"größe/score.py": "f00"}}},
    authors=("id-dora",),
    requester="",
    asked=NOW,
    until=NOW + timedelta(hours=72),
)
YES = ApprovalDecision("id-bob", "bob", True, "looks fine", NOW + timedelta(minutes=2))
KEY = (REQUEST.promotion, REQUEST.stage, REQUEST.digest)


@pytest.fixture(params=["fake", "sqlite", "tables"])
def approvals(request: pytest.FixtureRequest, tmp_path: Path) -> Approvals:
    if request.param == "tables":
        return TableApprovals(request.getfixturevalue("table"))
    return SqliteApprovals(tmp_path / "made" / "prod.sqlite") if request.param == "sqlite" else FakeApprovals()


def test_nothing_was_asked_and_nothing_was_said_at_first(approvals: Approvals) -> None:
    assert approvals.request("churn-eu-1-abcdefabcdef", "prod") is None
    assert list(approvals.requests(NOW)) == []
    assert list(approvals.decisions(*KEY)) == []


def test_what_was_asked_is_kept_to_the_last_field(approvals: Approvals) -> None:
    approvals.ask(REQUEST)
    approvals.ask(REQUEST)
    assert approvals.request(REQUEST.promotion, "prod") == REQUEST
    assert list(approvals.requests(NOW)) == [REQUEST]
    assert approvals.request(REQUEST.promotion, "test") is None


def test_a_long_manifest_is_kept_whole(approvals: Approvals) -> None:
    long = replace(REQUEST, shown={"files": {f"scoring/ä{number}.py": "f" * 64 for number in range(2000)}})
    approvals.ask(long)
    assert approvals.request(REQUEST.promotion, "prod") == long


def test_a_request_for_another_digest_takes_the_place_of_the_first(approvals: Approvals) -> None:
    approvals.ask(REQUEST)
    other = replace(REQUEST, digest="e" * 40, until=REQUEST.until + timedelta(hours=1))
    approvals.ask(other)
    assert approvals.request(REQUEST.promotion, "prod") == other
    assert list(approvals.requests(NOW)) == [other]


def test_requests_are_listed_by_their_end_until_their_time_is_up(approvals: Approvals) -> None:
    later = replace(REQUEST, promotion="churn-eu-2-abcdefabcdef", until=REQUEST.until + timedelta(minutes=1))
    approvals.ask(later)
    approvals.ask(REQUEST)
    assert list(approvals.requests(NOW)) == [REQUEST, later]
    assert list(approvals.requests(REQUEST.until)) == [later]
    assert list(approvals.requests(later.until)) == []


def test_decisions_are_kept_per_person_and_the_first_one_stays(approvals: Approvals) -> None:
    assert approvals.decide(*KEY, YES) == YES
    no = ApprovalDecision("id-bob", "bob", False, "changed my mind", NOW + timedelta(minutes=3))
    assert approvals.decide(*KEY, no) == YES
    carol = ApprovalDecision("id/carol#?", "carol", False, "biased", NOW + timedelta(minutes=1))
    assert approvals.decide(*KEY, carol) == carol
    assert list(approvals.decisions(*KEY)) == [carol, YES]


def test_under_what_somebody_decided_is_kept(approvals: Approvals) -> None:
    said = replace(YES, roles=("Prod.Owner",), groups=("a1", "b2"))
    approvals.decide(*KEY, said)
    assert list(approvals.decisions(*KEY)) == [said]


@pytest.mark.parametrize("other", [{0: "another"}, {1: "test"}, {2: "e" * 40}])
def test_a_decision_counts_for_its_promotion_stage_and_digest_alone(
    approvals: Approvals, other: dict[int, str]
) -> None:
    approvals.decide(*KEY, YES)
    elsewhere = [other.get(index, text) for index, text in enumerate(KEY)]
    assert list(approvals.decisions(*elsewhere)) == []
