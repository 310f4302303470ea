"""A run under the approval of an earlier one: what the environment's own worker decides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite_approvals import SqliteApprovals
from shared.config import Policy
from shared.core.approval import ApprovalEvidence, GivenApproval
from shared.core.messages import Failed, FailureKind, Outcome, as_evidence
from shared.core.rerunning import ApprovedBefore
from shared.ports import ApprovalDecision
from shared.worker.order import Rules
from tests.steps.pipeline import Line
from tests.steps.promotion import NOW

LATER = NOW + timedelta(days=30)


@pytest.fixture
def first(tmp_path: Path) -> Line:
    """The promotion that people approved, after its run."""
    return Line.new(tmp_path).after("register_components", "inspect", "approve", "run")


def again(first: Line, changed: Line | None = None) -> Line:
    """The run a month later, of fresh data: after `inspect`, with what the core passes on of the first."""
    before = as_evidence(ApprovedBefore(first.promotion, first.evidence["inspect"]))
    known = {
        "register_components": first.evidence["register_components"],
        "approve": {**first.evidence["approve"], "before": before},
    }
    first.prod.has_data("churn-production", "8")
    line = replace(changed or first, evidence=known, promotion="churn-training-train-7-second", now=LATER)
    return line.after("inspect")


def test_fresh_data_runs_under_the_approval_of_the_same_pipeline(first: Line) -> None:
    line = again(first).after("run")
    assert line.evidence["run"]["inputs"]["rows"]["version"] == "8"


def refused(line: Line, kind: FailureKind) -> str:
    outcome: Outcome = line.run("run")
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is kind
    assert line.job_name not in line.prod.submitted
    assert "may not run again in prod under the approval of churn-training-train-7-abc" in outcome.reason
    return outcome.reason


def test_an_approval_ends_when_the_policy_of_the_environment_says_so(first: Line) -> None:
    policy = Policy.model_validate({"rerun_for": "29d"})
    line = again(first).with_(rules=Rules(policy))
    assert "more than 29 d old (`rerun_for`" in refused(line, FailureKind.REFUSED)


@pytest.mark.parametrize(
    "run",
    [
        {"compute": "serverless", "inputs": {"rows": "churn-production@latest"}},
        {"compute": "cpu", "inputs": {"rows": "all-customers@latest"}},
        {"compute": "cpu", "inputs": {"rows": "churn-production@latest", "rate": "0.9"}},
        {"compute": "cpu", "inputs": {"rows": "churn-production@latest"}, "instances": 3},
    ],
)
def test_whatever_else_is_new_needs_approval_anew(first: Line, run: dict[str, object]) -> None:
    first.prod.has_data("all-customers", "1")
    line = again(first, first.with_settings(run=run))
    assert "What would run now is not what was approved" in refused(line, FailureKind.CHANGED)


def test_what_people_saw_cannot_be_exchanged_on_its_way(first: Line) -> None:
    """The coordinator passes both on, and the approval is bound to what was seen."""
    other = again(
        first, first.with_settings(run={"compute": "serverless", "inputs": {"rows": "churn-production@latest"}})
    )
    approve = {**other.evidence["approve"]}
    approve["before"] = as_evidence(ApprovedBefore(first.promotion, other.evidence["inspect"]))
    forged = other.with_(evidence={**other.evidence, "approve": approve})
    assert "not what was approved" in refused(forged, FailureKind.CHANGED)


def test_too_few_people_then_are_too_few_now(first: Line) -> None:
    policy = Policy.model_validate({"approvals": 2})
    line = again(first).with_(rules=Rules(policy)).with_settings(approval={"min": 2}).after("inspect")
    assert "requires 2 approvals of it, and 1 count" in refused(line, FailureKind.PERMISSION)


@pytest.mark.parametrize("said", [("ann", "bob"), ("ann",), ()])
def test_an_environment_that_takes_approvals_itself_looks_into_its_own_record(
    first: Line, tmp_path: Path, said: Sequence[str]
) -> None:
    """What the coordinator passes on counts for nothing there."""
    kept = SqliteApprovals(tmp_path / "approvals.sqlite")
    policy = Policy.model_validate({"approvals": {"min": 2, "taken_by": "environment"}})
    rules = Rules(policy, approvals=kept)
    asked = first.with_settings(approval={"min": 2}).with_(rules=rules, evidence={})
    asked = asked.after("register_components", "inspect")
    assert not isinstance(asked.poll("approve_run"), Failed)
    request = kept.request(asked.promotion, "prod")
    assert request is not None
    for person in said:
        kept.decide(request.promotion, request.stage, request.digest, ApprovalDecision(person, person, True, "", NOW))
    forged = ApprovalEvidence(given=tuple(GivenApproval(each, each, NOW, "seen") for each in ("ann", "bob")))
    line = again(asked.with_(evidence={**asked.evidence, "approve": as_evidence(forged)}))
    outcome = line.poll("run")
    assert isinstance(outcome, Failed) is (len(said) < 2)


def test_an_approval_counts_to_the_last_moment_of_its_time(first: Line) -> None:
    line = again(first).with_(rules=Rules(Policy.model_validate({"rerun_for": "30d"})))
    late = line.with_(now=LATER + timedelta(seconds=1))
    assert "more than 30 d old" in refused(late, FailureKind.REFUSED)
    line.after("run")
