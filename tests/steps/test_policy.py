"""The rules of an environment, enforced by its worker from its own configuration, whatever a command says."""

from datetime import timedelta
from typing import Any

import pytest

from shared.config import Policy
from shared.core.approval import ApprovalEvidence, Author, GivenApproval, digest
from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.ports import ApprovalDecision
from shared.worker.order import Rules
from tests.config.teams import GROUP
from tests.fakes.approvals import FakeApprovals
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import NOW, SHARED, Stage
from tests.steps.test_reinstate import as_it_was_approved

DORA = {"id": "id-dora", "name": "dora", "is_person": True}
ANOTHER_GROUP = "aaaaaaaa-0000-4000-8000-000000000002"
PIPELINE = {"id": "id-ci", "name": "ci", "is_person": False}


def under(stage: Stage, **policy: Any) -> Stage:
    """The stage in an environment with this policy."""
    return stage.with_(rules=Rules(Policy.model_validate(policy)))


def made_by(stage: Stage, *authors: dict[str, Any]) -> Stage:
    return stage.with_(evidence={**stage.evidence, "share": {**SHARED, "authors": list(authors)}})


def refused(outcome: Outcome, workspace: FakeWorkspace, kind: FailureKind = FailureKind.REFUSED) -> str:
    """The reason, of a step that has made nothing."""
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is kind
    assert not [method for method in workspace.calls if method.startswith("start_")]
    return outcome.reason


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "file", "said"),
    [
        (
            {"instance_types": ["Standard_DS2_v2"]},
            "instance_type: Standard_ND96",
            "required Standard_DS2_v2, found Sta",
        ),
        ({"instance_types": ["Standard_DS2_v2"]}, "instance_count: 1", "found none named"),
        ({"max_instances": 2}, "instance_count: 3", "policy: instances: required at most 2, found 3"),
        ({"max_instances": 2}, "instance_type: Standard_DS2_v2", "found none named"),
    ],
)
@pytest.mark.parametrize("step", ["validate", "deploy"])
def test_what_the_policy_does_not_allow_is_refused_early_and_again_before_it_is_made(
    stage: Stage, workspace: FakeWorkspace, policy: dict[str, Any], file: str, said: str, step: str
) -> None:
    (stage.folder / "deployment.yml").write_text(f"{file}\n")
    at = under(stage.validated(workspace), **policy)
    assert said in refused(at.run(step, workspace), workspace)


def test_what_the_policy_allows_goes_on_whatever_the_case_of_a_size(stage: Stage, workspace: FakeWorkspace) -> None:
    (stage.folder / "deployment.yml").write_text("instance_type: Standard_DS2_v2\ninstance_count: 2\n")
    at = under(stage, instance_types=["standard_ds2_V2"], max_instances=2).validated(workspace)
    assert isinstance(at.run("deploy", workspace), Succeeded)


# --- approvals that the coordinator takes -----------------------------------------------------------------------------

TWO = {"approval": {"min": 2}}


def test_a_stage_that_asks_for_fewer_approvals_than_the_policy_is_refused(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    at = under(stage.with_settings(approval={"min": 1}), approvals=2)
    assert "required at least 2, found the stage requires 1" in refused(at.run("validate", workspace), workspace)


def test_with_as_many_approvals_as_the_policy_asks_for_it_is_deployed(stage: Stage, workspace: FakeWorkspace) -> None:
    at = under(stage.with_settings(**TWO), approvals=2).approved(workspace, "id-bob", "id-carol")
    assert isinstance(at.run("deploy", workspace), Succeeded)


@pytest.mark.parametrize("people", [(), ("id-bob",), ("id-bob", "id-bob")])
def test_a_command_without_enough_approvals_deploys_nothing(
    stage: Stage, workspace: FakeWorkspace, people: tuple[str, ...]
) -> None:
    at = under(stage.with_settings(**TWO), approvals=2).approved(workspace, *people)
    assert "requires 2 approvals of exactly this" in refused(
        at.run("deploy", workspace), workspace, FailureKind.PERMISSION
    )


BOB = GivenApproval("id-bob", "bob", NOW, "seen")


@pytest.mark.parametrize(
    "approve", [None, ApprovalEvidence(), ApprovalEvidence(given=(BOB,)), ApprovalEvidence("0" * 40, (BOB,))]
)
def test_approvals_of_something_else_do_not_count(
    stage: Stage, workspace: FakeWorkspace, approve: ApprovalEvidence | None
) -> None:
    at = under(stage.with_settings(approval={"min": 1}), approvals=1).validated(workspace)
    if approve is not None:
        at = at.with_(evidence={**at.evidence, "approve": as_evidence(approve)})
    refused(at.run("deploy", workspace), workspace, FailureKind.PERMISSION)


def test_approvals_that_cannot_be_read_do_not_count(stage: Stage, workspace: FakeWorkspace) -> None:
    at = under(stage.with_settings(approval={"min": 1}), approvals=1).validated(workspace)
    at = at.with_(evidence={**at.evidence, "approve": {"given": [{"id": "id-bob"}]}})
    assert "missing required field `name` - at `$.given[0]`" in refused(
        at.run("deploy", workspace), workspace, FailureKind.BUG
    )


def test_the_author_does_not_count_among_those_who_approved(stage: Stage, workspace: FakeWorkspace) -> None:
    at = under(made_by(stage.with_settings(approval={"min": 1}), DORA), approvals=1, not_author=True)
    reason = refused(at.approved(workspace, "id-dora").run("deploy", workspace), workspace, FailureKind.PERMISSION)
    assert "and 0 count" in reason
    assert isinstance(at.approved(workspace, "id-bob").run("deploy", workspace), Succeeded)


# --- the author -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authors", "seen"),
    [
        ((), "found unknown"),
        ((PIPELINE,), "found ci (no person)"),
        ((DORA, PIPELINE), "found dora, ci (no person)"),
    ],
)
def test_a_model_of_nobody_known_is_refused_unless_the_policy_allows_it(
    stage: Stage, workspace: FakeWorkspace, authors: tuple[dict[str, Any], ...], seen: str
) -> None:
    at = made_by(stage, *authors)
    assert seen in refused(under(at, not_author=True).run("validate", workspace), workspace)
    assert isinstance(under(at, not_author=True, unknown_author="allow").run("validate", workspace), Succeeded)


def test_where_the_source_may_be_read_the_worker_does_not_take_anothers_word_for_the_author(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    dev = FakeWorkspace(name="ws-dev")
    dev.has_model("digits", "3")
    dev.made_by["digits", "3"] = [Author("id-dora", "dora", is_person=True)]
    at = under(made_by(stage.with_settings(approval={"min": 1}), {**DORA, "id": "id-x"}), approvals=1, not_author=True)
    at = at.with_(rules=replace(at.rules, source=dev))
    refused(at.approved(workspace, "id-dora").run("deploy", workspace), workspace, FailureKind.PERMISSION)


def test_a_model_that_is_not_the_origin_of_the_copy_tells_nothing_of_the_author(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    elsewhere = FakeWorkspace(name="ws-other")
    elsewhere.has_model("digits", "3")
    elsewhere.made_by["digits", "3"] = [Author("id-dora", "dora", is_person=True)]
    at = under(made_by(stage, DORA), not_author=True)
    at = at.with_(rules=replace(at.rules, source=elsewhere))
    assert "found unknown" in refused(at.run("validate", workspace), workspace)


@pytest.mark.parametrize(
    ("roles", "groups", "is_deployed"),
    [
        (("Prod.Owner",), ("group-prod",), True),
        (("Prod.Owner",), ("group-test",), False),
        (("Prod.Owner",), (), False),
        (("Promotion.Approver",), ("group-prod",), False),
        ((), ("group-prod",), False),
        (None, None, True),  # an earlier version took it, and kept neither
    ],
)
def test_an_approval_counts_only_under_the_roles_and_groups_of_the_environments_policy(
    stage: Stage,
    workspace: FakeWorkspace,
    roles: tuple[str, ...] | None,
    groups: tuple[str, ...] | None,
    is_deployed: bool,
) -> None:
    """A coordinator whose configuration names others, or none."""
    approvals = {"min": 1, "roles": ["Prod.Owner"], "groups": [GROUP]}
    at = under(stage.with_settings(approval={"min": 1}), approvals=approvals).validated(workspace)
    named = None if groups is None else tuple(GROUP if each == "group-prod" else each for each in groups)
    given = (replace(BOB, roles=roles, groups=named),)
    evidence = {**at.evidence, "approve": as_evidence(ApprovalEvidence(digest(at.evidence), given))}
    outcome = at.with_(evidence=evidence).run("deploy", workspace)
    assert isinstance(outcome, Succeeded) is is_deployed
    if not is_deployed:
        assert "requires 1 approvals of exactly this" in refused(outcome, workspace, FailureKind.PERMISSION)


# --- approvals that the environment takes itself ----------------------------------------------------------------------


@pytest.fixture
def own(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """The stage after it was validated, in an environment whose own app takes the approvals."""
    policy = Policy.model_validate({"approvals": {"min": 1, "taken_by": "environment"}})
    rules = Rules(policy, approvals=FakeApprovals(), url="https://prod.example")
    return stage.with_settings(approval={"min": 1}).with_(rules=rules).validated(workspace)


def say(stage: Stage, person: str, approves: bool = True, digest: str = "", **under: tuple[str, ...]) -> None:
    """A person's decision on what was asked, in the environment's own app, `under` these roles and groups."""
    approvals = stage.rules.approvals
    assert approvals is not None
    request = approvals.request(stage.promotion, "test")
    assert request is not None
    decision = ApprovalDecision(f"id-{person}", person, approves, "because", NOW, **under)
    approvals.decide(stage.promotion, "test", digest or request.digest, decision)


def test_it_asks_in_its_own_app_and_waits(own: Stage, workspace: FakeWorkspace) -> None:
    outcome = own.poll("approve", workspace)
    assert isinstance(outcome, Running)
    assert outcome.says == "waits for approval: 0 of 1 given, in the app of test (https://prod.example)"
    assert own.rules.approvals is not None
    request = own.rules.approvals.request(own.promotion, "test")
    assert request is not None
    assert (request.model, request.version) == ("digits", "3")
    assert request.shown == own.evidence["validate"]


def test_people_see_in_its_own_app_what_the_deployment_will_take(own: Stage, workspace: FakeWorkspace) -> None:
    taken = own.poll("check_capacity", workspace)
    assert isinstance(taken, Succeeded)
    own.with_(evidence={**own.evidence, "check_capacity": taken.evidence}).poll("approve", workspace)
    assert own.rules.approvals is not None
    request = own.rules.approvals.request(own.promotion, "test")
    assert request is not None
    assert request.shown["capacity"] == taken.evidence


def test_what_the_deployment_will_take_is_no_part_of_what_the_coordinator_lets_people_approve(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    """Both sides count the same evidence, or nothing approved would ever be deployed."""
    rules = Rules(Policy.model_validate({"approvals": {"min": 1}}))
    approved = stage.with_settings(approval={"min": 1}).with_(rules=rules).approved(workspace, "bob")
    taken = approved.with_(evidence={"check_capacity": {"left": 12}, **approved.evidence})
    assert isinstance(taken.run("deploy", workspace), Succeeded)


def test_once_somebody_approved_it_goes_on_and_deploys(own: Stage, workspace: FakeWorkspace) -> None:
    own.poll("approve", workspace)
    say(own, "bob")
    approved = own.poll("approve", workspace)
    assert isinstance(approved, Succeeded)
    assert [each["name"] for each in approved.evidence["given"]] == ["bob"]
    assert isinstance(
        own.with_(evidence={**own.evidence, "approve": approved.evidence}).run("deploy", workspace), Succeeded
    )


@pytest.mark.parametrize(
    ("policy", "still"),
    [
        ({"groups": [GROUP]}, True),
        ({"groups": [ANOTHER_GROUP]}, False),
        ({"groups": [GROUP], "roles": ["Prod.Owner"]}, False),
        ({}, True),
    ],
)
def test_an_approval_in_its_own_app_counts_only_under_the_policy_of_now(
    own: Stage, workspace: FakeWorkspace, policy: dict[str, Any], still: bool
) -> None:
    """Between the approval and the deployment, the environment's people have changed who may approve."""
    own.poll("approve", workspace)
    say(own, "bob", roles=("Promotion.Approver",), groups=(GROUP,))
    changed = Policy.model_validate({"approvals": {"min": 1, "taken_by": "environment", **policy}})
    now = own.with_(rules=replace(own.rules, policy=changed))
    assert isinstance(now.poll("approve", workspace), Succeeded if still else Running)
    outcome = now.run("deploy", workspace)
    assert isinstance(outcome, Succeeded) is still
    if not still:
        assert "and 0 count" in refused(outcome, workspace, FailureKind.PERMISSION)


def test_one_rejection_ends_it_and_nothing_is_deployed(own: Stage, workspace: FakeWorkspace) -> None:
    own.poll("approve", workspace)
    say(own, "bob")
    say(own, "carol", approves=False)
    assert refused(own.poll("approve", workspace), workspace, FailureKind.REJECTED) == "rejected by carol: because"
    refused(own.run("deploy", workspace), workspace, FailureKind.PERMISSION)


def test_at_its_deadline_it_ends_as_rejected(own: Stage, workspace: FakeWorkspace) -> None:
    command = own.command("approve")
    late = replace(own, started_late=command.deadline - NOW)
    reason = refused(late.poll("approve", workspace), workspace, FailureKind.REJECTED)
    assert reason.startswith("nobody decided within 1 h")


def test_it_polls_less_often_the_longer_it_waits(own: Stage, workspace: FakeWorkspace) -> None:
    pauses = []
    for waited in (timedelta(0), timedelta(minutes=10), timedelta(minutes=59)):
        outcome = replace(own, started_late=waited).poll("approve", workspace)
        assert isinstance(outcome, Running)
        pauses.append(outcome.poll_again_after)
    assert pauses == [timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=5)]


@pytest.mark.parametrize("claimed", [None, "id-bob"])
def test_approvals_that_only_the_command_claims_deploy_nothing(
    own: Stage, workspace: FakeWorkspace, claimed: str | None
) -> None:
    """A coordinator that skips the approval, or claims one that was not given."""
    own.poll("approve", workspace)
    forged = own.approved(workspace, claimed) if claimed else own
    refused(forged.run("deploy", workspace), workspace, FailureKind.PERMISSION)


def test_an_approval_of_one_model_deploys_no_other(own: Stage, workspace: FakeWorkspace) -> None:
    """After bob approved open-good, the command validates and deploys open-evil under the same promotion."""
    own.poll("approve", workspace)
    say(own, "bob")
    origin = "azureml://locations/west/workspaces/ws-dev/models/digits/versions/4"
    workspace.has_copy("digits", "4", origin)
    evil = own.with_(version="4", evidence={"share": {**SHARED, "origin": origin}}).validated(workspace)
    refused(evil.run("deploy", workspace), workspace, FailureKind.PERMISSION)
    assert own.evidence["validate"]["manifest"]["digest"] != evil.evidence["validate"]["manifest"]["digest"]


def test_a_replaced_digest_deploys_nothing(own: Stage, workspace: FakeWorkspace) -> None:
    own.poll("approve", workspace)
    say(own, "bob")
    (own.folder / "smoke.jsonl").write_text('{"request": "softer"}\n')
    refused(own.run("deploy", workspace), workspace, FailureKind.CHANGED)
    manifest = own.validated(workspace).evidence["validate"]
    forged = own.with_(evidence={**own.evidence, "validate": manifest})
    refused(forged.run("deploy", workspace), workspace, FailureKind.PERMISSION)


def test_a_champion_that_was_never_approved_here_is_not_brought_back(own: Stage, workspace: FakeWorkspace) -> None:
    forged = own.with_(champion=as_it_was_approved(own, workspace, "id-bob"))
    assert refused(forged.run("reinstate", workspace), workspace, FailureKind.CHANGED)


def test_a_champion_is_brought_back_if_it_is_the_model_that_was_approved_here_and_no_other(
    own: Stage, workspace: FakeWorkspace
) -> None:
    champion = as_it_was_approved(own, workspace)
    theirs = own.with_(promotion=champion.promotion, version="2", evidence=champion.evidence)
    theirs.poll("approve", workspace)
    say(theirs, "bob")
    evil = replace(champion, candidate=replace(champion.candidate, version="9"))
    workspace.has_copy("digits", "9", SHARED["origin"])
    refused(own.with_(champion=evil).run("reinstate", workspace), workspace, FailureKind.CHANGED)
    assert isinstance(own.with_(champion=champion).run("reinstate", workspace), Succeeded)


@pytest.mark.parametrize("said", [None, False])
def test_a_champion_that_people_were_asked_about_and_did_not_approve_is_not_brought_back(
    own: Stage, workspace: FakeWorkspace, said: bool | None
) -> None:
    champion = as_it_was_approved(own, workspace, "id-bob")
    theirs = own.with_(promotion=champion.promotion, version="2", evidence=champion.evidence)
    theirs.poll("approve", workspace)
    if said is not None:
        say(theirs, "bob", approves=said)
    refused(own.with_(champion=champion).run("reinstate", workspace), workspace, FailureKind.PERMISSION)


def test_without_rules_of_its_own_it_takes_no_approvals(stage: Stage, workspace: FakeWorkspace) -> None:
    reason = refused(stage.validated(workspace).poll("approve", workspace), workspace, FailureKind.BAD_CONFIG)
    assert "is not configured to take approvals" in reason
