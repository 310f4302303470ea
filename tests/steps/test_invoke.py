"""The test of a new batch deployment: it and the default are invoked on the same input, and their rows compared."""

from pathlib import Path
from typing import Any

import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.ports import RegistryData
from shared.worker import rows
from shared.worker.steps import invoke
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.batch import BATCH, BATCH_ENDPOINT, batch_stage, batch_view, serving
from tests.steps.promotion import OURS, Stage

OLD = b"a.csv 1 0.5\nb.csv 0 0.25\nc.csv 1 0.75\nd.csv 0 0.1\n"


@pytest.fixture
def stage(tmp_path: Path, workspace: FakeWorkspace) -> Stage:
    """Deployed beside the champion."""
    workspace.has_data("sample", "1", type="uri_file")
    stage = batch_stage(tmp_path).with_(champion=serving(workspace))
    batch_view(workspace).has_deployment(BATCH_ENDPOINT, stage.deployment, {**OURS, **stage.its_tags})
    workspace.rows = {"v2-old": OLD, stage.deployment: OLD}
    return stage


def with_test(stage: Stage, **changes: Any) -> Stage:
    asked = {**BATCH["test"], **changes}
    return stage.with_settings(test={name: value for name, value in asked.items() if value is not None})


def refused(stage: Stage, workspace: FakeWorkspace) -> Failed:
    outcome = stage.run("invoke", workspace)
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_both_are_invoked_once_by_name_on_the_same_input_and_the_default_stays(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    outcome = stage.run("invoke", workspace)
    assert isinstance(outcome, Succeeded), outcome
    asked = {(deployment, each.asset, each.type) for _, deployment, each in workspace.invocations}
    data = workspace.data["sample", "1"].asset_id
    assert asked == {(stage.deployment, data, "uri_file"), ("v2-old", data, "uri_file")}
    assert len({each.name for _, _, each in workspace.invocations}) == 2
    assert len({each.output for _, _, each in workspace.invocations}) == 2
    assert batch_view(workspace).endpoints[BATCH_ENDPOINT].traffic == {"v2-old": 100}


def test_the_evidence_has_figures_and_no_contents(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.rows[stage.deployment] = OLD.replace(b"0.25", b"0.5")
    outcome = stage.run("invoke", workspace)
    assert isinstance(outcome, Succeeded)
    evidence = outcome.evidence
    assert (evidence["rows"], evidence["champion_rows"], evidence["champion"]) == (4, 4, "v2-old")
    assert (evidence["differing"], evidence["disagreement"], evidence["largest_difference"]) == (1, 0.25, 0.25)
    assert evidence["matched_by"] == "column 1"
    assert "b.csv" not in str(evidence) + str(outcome.says)


def test_it_waits_for_both_jobs_and_polls_that_wait_only_read(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("invoke", workspace)
    assert isinstance(first, Running)
    names = [each.name for _, _, each in workspace.invocations]
    assert first.awaits is not None
    assert (first.awaits.job, first.awaits.is_ours) == (names[0], True)
    workspace.end_job(names[0], JobOutcome())
    workspace.calls.clear()
    second = stage.with_(state=first.state).poll("invoke", workspace, poll=2)
    assert isinstance(second, Running)
    assert second.awaits is not None
    assert second.awaits.job == names[1]
    assert not [name for name in workspace.calls if name.startswith("start_")]
    workspace.end_job(names[1], JobOutcome())
    assert isinstance(stage.with_(state=second.state).poll("invoke", workspace, poll=3), Succeeded)


def test_an_invocation_whose_answer_was_lost_is_found_again_and_not_repeated(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.dies_after = "start_invocation"
    assert isinstance(stage.run("invoke", workspace), Succeeded)
    assert len(workspace.invocations) == 2
    assert workspace.calls["start_invocation"] == 2


def test_a_retry_invokes_again_under_other_names(stage: Stage, workspace: FakeWorkspace) -> None:
    assert isinstance(stage.run("invoke", workspace), Succeeded)
    assert isinstance(stage.with_(attempt=2).run("invoke", workspace), Succeeded)
    assert len({each.name for _, _, each in workspace.invocations}) == 4


def test_answers_that_differ_too_much_are_refused_with_the_figures(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.rows[stage.deployment] = OLD.replace(b"0.25", b"0.5").replace(b"c.csv 1", b"c.csv 0")
    outcome = refused(stage, workspace)
    assert outcome.kind is FailureKind.REFUSED
    assert outcome.reason == (
        "The new deployment did not pass its test: 2 of 4 rows differ from those of deployment v2-old, by up to 1, "
        "which is a part of 0.5: more than the 0.25 that are allowed."
    )
    assert (outcome.evidence["differing"], outcome.evidence["disagreement"]) == (2, 0.5)


def test_without_a_limit_differences_are_counted_and_not_judged(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.rows[stage.deployment] = OLD.replace(b" 1 ", b" 9 ").replace(b" 0 ", b" 9 ")
    outcome = with_test(stage, disagreement=None).run("invoke", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["disagreement"] == 1.0


def test_numbers_within_the_tolerance_are_equal(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.rows[stage.deployment] = OLD.replace(b"0.5", b"0.505").replace(b"0.25", b"0.255")
    stage = with_test(stage, disagreement=0)
    assert isinstance(stage.run("invoke", workspace), Succeeded)
    assert "differ" in refused(with_test(stage, disagreement=0, tolerance=0).with_(attempt=2), workspace).reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "wrote no rows"),
        (b"", "wrote no rows"),
        (b"\n \n", "wrote no rows"),
        (b"\xff\xfe\xfa 1\n", "are no text in UTF-8"),
        (b"a\0b 1\n", "they contain zero bytes"),
        (b"a.csv 1 0.5\n", "it wrote 1 rows, and deployment v2-old wrote 4 for the same input"),
    ],
)
def test_output_that_cannot_be_compared_is_refused_in_words(
    stage: Stage, workspace: FakeWorkspace, content: bytes | None, says: str
) -> None:
    workspace.rows[stage.deployment] = content
    outcome = refused(stage, workspace)
    assert outcome.kind is FailureKind.REFUSED
    assert says in outcome.reason


def test_too_much_output_is_refused_and_not_loaded(
    stage: Stage, workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke, "MOST_BYTES", 20)
    assert "wrote more than" in refused(stage, workspace).reason


def test_a_candidate_whose_job_fails_is_refused_with_the_cause(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.fails_to_score = {stage.deployment}
    outcome = refused(stage, workspace)
    assert outcome.reason.startswith(f"The new deployment, {stage.deployment}, failed its test. Job ")
    assert "the scoring script failed" in outcome.reason


def test_a_champion_whose_job_fails_is_told_apart(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.fails_to_score = {"v2-old"}
    assert refused(stage, workspace).reason.startswith("The present default, v2-old, failed its test. Job ")


def test_where_nothing_served_it_is_enough_that_rows_are_written(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = stage.with_(champion=None)
    outcome = stage.run("invoke", workspace)
    assert isinstance(outcome, Succeeded)
    assert (outcome.evidence["rows"], outcome.evidence.get("champion")) == (4, None)
    workspace.rows[stage.deployment] = None
    assert "wrote no rows" in refused(stage.with_(attempt=2), workspace).reason


def test_a_champion_that_is_gone_stops_a_comparison_that_was_asked_for(stage: Stage, workspace: FakeWorkspace) -> None:
    del workspace.batch_made[BATCH_ENDPOINT, "v2-old"]
    assert "nothing can be compared with it" in refused(stage, workspace).reason
    assert isinstance(with_test(stage, disagreement=None).run("invoke", workspace), Succeeded)


def test_a_job_of_that_name_by_somebody_else_is_not_taken_for_ours(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("invoke", workspace)
    name = workspace.invocations[0][2].name
    workspace.creators[name] = "somebody"
    outcome = stage.poll("invoke", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "was not submitted by the identity of test" in outcome.reason


def test_a_job_that_is_gone_is_not_started_again(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("invoke", workspace)
    assert isinstance(first, Running)
    workspace.submitted.clear()
    outcome = stage.with_(state=first.state).poll("invoke", workspace, poll=2)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND


def test_an_input_of_the_registry_is_used_by_its_id(stage: Stage, workspace: FakeWorkspace) -> None:
    asset = "azureml://registries/reg/data/sample/versions/7"
    stage = with_test(stage, input=asset)
    assert "cannot find azureml://registries/reg/data/sample/versions/7" in refused(stage, workspace).reason
    workspace.registry.data["sample", "7"] = RegistryData(asset, None, "uri_folder")
    assert isinstance(stage.run("invoke", workspace), Succeeded)
    assert {(each.asset, each.type) for _, _, each in workspace.invocations} == {(asset, "uri_folder")}


def test_two_jobs_with_two_versions_of_the_input_are_not_compared(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_test(stage, input="sample@latest")
    workspace.polls_until_ended = None
    first = stage.poll("invoke", workspace)
    assert isinstance(first, Running)
    ours, theirs = (each.name for _, _, each in workspace.invocations)
    newer = workspace.has_data("sample", "2", type="uri_file").asset_id
    job = workspace.submitted[theirs]
    workspace.submitted[theirs] = type(job)(job.name, job.workspace, job.status, inputs={"input": newer})
    for name in (ours, theirs):
        workspace.end_job(name, JobOutcome())
    outcome = stage.with_(state=first.state).poll("invoke", workspace, poll=2)
    assert isinstance(outcome, Failed)
    assert "has a new version since the first job was started" in outcome.reason


def test_its_undo_cancels_both_jobs(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("invoke", workspace)
    names = {each.name for _, _, each in workspace.invocations}
    outcome = stage.with_(options={"undoes": "invoke"}).run("cancel_job", workspace)
    assert isinstance(outcome, Succeeded)
    assert set(outcome.evidence["cancelled"]) == names


# --- rows -------------------------------------------------------------------------------------------------------------


def compared(old: bytes, new: bytes, tolerance: float = 0.0) -> rows.Compared:
    return rows.compare(rows.read(new), rows.read(old), tolerance)


@pytest.mark.parametrize(
    ("old", "new", "differing", "matched_by"),
    [
        (b"a 1\nb 2\n", b"b 2\na 1\n", 0, "column 1"),
        (b"a 1\nb 2\n", b"b 1\na 2\n", 2, "column 1"),
        (b"0 3 x.csv\n0 4 y.csv\n1 4 y.csv\n", b"1 4 y.csv\n0 4 y.csv\n0 3 x.csv\n", 0, "column 1 and column 2"),
        (b"0.5\n0.7\n", b"0.7\n0.5\n", 2, "their order"),  # nothing tells the rows apart: they may be swapped
        (b"1\n2\n", b"2\n1\n", 2, "their order"),
        (b"a 1\na 1\n", b"a 1\na 2\n", 1, "their order"),
        (b"a 1\nb 2\n", b"a 1\nc 2\n", 1, "column 2"),
        (b'{"id": 1, "score": 0.5}\n', b'{"id": 1, "score": 0.5}\n', 0, "their order"),
        (b'{"id": 1, "score": 0.5}\n', b'{"id": 1, "score": 0.6}\n', 1, "their order"),
        (b'"a b" 1\n"c d" 2\n', b'"c d" 2\n"a b" 1\n', 0, "column 1"),
        (b"a 1 2\n", b"a 1\n", 1, "column 1"),
        (b"a nan\n", b"a nan\n", 0, "column 1"),
    ],
)
def test_rows_are_matched_by_what_tells_them_apart(old: bytes, new: bytes, differing: int, matched_by: str) -> None:
    found = compared(old, new)
    assert (found.differing, found.matched_by) == (differing, matched_by)


def test_the_largest_difference_is_that_of_matching_rows() -> None:
    assert compared(b"a 1\nb 5\n", b"b 5.5\na 1.25\n").largest_difference == 0.5
    assert compared(b"a x\nb y\n", b"b y\na x\n").largest_difference is None
