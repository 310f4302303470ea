"""What prevents an evaluation: before anything is spent, and through what others do meanwhile."""

from typing import Any

import pytest

from shared.core.messages import Champion, Failed, FailureKind, Retry, Running, Succeeded
from shared.core.replacing import replace
from shared.ports import BusyError
from shared.worker.run import Workplace, run_step
from tests.fakes.workspace import FakeWorkspace
from tests.steps.evaluate.world import CHAMPION, JOB, NAME, PASSING, asking, evaluated, serve_champion, squat
from tests.steps.promotion import SHARED, Stage, failed


def unvalidated(stage: Stage, **evaluate: Any) -> Stage:
    return stage.with_settings(evaluate={**stage.settings["evaluate"], **evaluate}).with_(evidence={"share": SHARED})


def test_a_missing_compute_is_seen_by_validate(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.computes.clear()
    failed(unvalidated(stage).poll("validate", workspace), FailureKind.NOT_FOUND, "no compute cpu")


@pytest.mark.parametrize(
    ("data", "words"),
    [("gone@latest", "no data asset gone"), ("holdout:8", "no data asset holdout, version 8")],
)
def test_missing_data_is_seen_by_validate(stage: Stage, workspace: FakeWorkspace, data: str, words: str) -> None:
    failed(unvalidated(stage, inputs={"data": data}).poll("validate", workspace), FailureKind.NOT_FOUND, words)


@pytest.mark.parametrize("data", ["holdout@latest", "holdout:7"])
def test_data_that_was_archived_is_seen_by_validate_and_again_before_the_job_runs(
    stage: Stage, workspace: FakeWorkspace, data: str
) -> None:
    validated = asking(stage, workspace, inputs={"data": data})
    workspace.has_data("holdout", "7", is_archived=True)
    words = ("Data asset holdout, version 7,", "is archived. Restore it")
    failed(validated.poll("evaluate", workspace), FailureKind.NOT_FOUND, *words)
    failed(unvalidated(stage, inputs={"data": data}).poll("validate", workspace), FailureKind.NOT_FOUND, *words)
    assert workspace.submitted == {}


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (JOB.replace("model: {type: custom_model}, ", ""), "needs an input model"),
        (JOB.replace("champion: {type: custom_model}, ", ""), "needs an input champion"),
        (JOB.replace(", data: {type: uri_folder}", ""), "has no input data"),
        ("a: b", "does not describe a command job"),
    ],
)
def test_a_job_file_that_breaks_the_contract_is_seen_by_validate(
    stage: Stage, workspace: FakeWorkspace, job: str, words: str
) -> None:
    (stage.folder / "evaluate.yml").write_text(job)
    failed(unvalidated(stage).poll("validate", workspace), FailureKind.BAD_CONFIG, words)


def test_throttling_is_tried_again(stage: Stage, workspace: FakeWorkspace) -> None:
    for method in ("submitted_job", "start_job", "job_differences", "metrics"):
        workspace.raises[method] = BusyError("busy")
        outcome = stage.poll("evaluate", workspace)
        assert isinstance(outcome, Retry)
    assert isinstance(stage.run("evaluate", workspace), Succeeded)


# --- others meanwhile -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("creator", ["somebody", "worker-oid"])
def test_a_job_of_other_content_under_our_name_is_a_conflict_whoever_submitted_it(
    stage: Stage, workspace: FakeWorkspace, creator: str
) -> None:
    data = "/subscriptions/s/workspaces/ws-test/data/holdout/versions/7"
    squat(workspace, stage, creator, inputs={"data": data})
    outcome = failed(stage.poll("evaluate", workspace), FailureKind.CONFLICT, f"another job named {NAME}")
    assert ("its code" if creator == "worker-oid" else "not submitted by the identity") in outcome.reason


def test_tags_that_say_otherwise_are_not_believed(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    job = workspace.submitted[NAME]
    workspace.submitted[NAME] = replace(job, tags={**job.tags, "mlpromote.digest": "0" * 40})
    failed(stage.poll("evaluate", workspace), FailureKind.CONFLICT, "its tag mlpromote.digest")


def test_a_newer_version_of_the_data_changes_nothing_for_a_job_that_was_submitted(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    workspace.has_data("holdout", "8")
    workspace.end_job(NAME, PASSING)
    seen = evaluated(stage.poll("evaluate", workspace, 2))
    assert [used.version for used in seen.data] == ["7"]


def test_a_version_of_the_data_that_was_archived_after_the_job_began_is_used_to_its_end(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    workspace.has_data("holdout", "7", is_archived=True)
    workspace.end_job(NAME, PASSING)
    assert evaluated(stage.poll("evaluate", workspace, 2)).data[0].version == "7"


def test_code_that_changes_while_the_job_runs_is_reported(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("evaluate", workspace)
    assert isinstance(first, Running)
    (stage.folder / "src" / "evaluate.py").write_text("print('measures otherwise')\n")
    workspace.end_job(NAME, PASSING)
    command = replace(stage.command("evaluate", 2), state=first.state)
    at = Workplace(lambda _: workspace, lambda _: stage.rules, stage.folder, lambda: command.not_before)
    outcome = run_step(command, at)
    failed(outcome, FailureKind.CHANGED, "src/evaluate.py")


def test_the_champion_is_what_the_endpoint_serves(stage: Stage, workspace: FakeWorkspace) -> None:
    serve_champion(workspace)
    stage.with_(champion=CHAMPION).run("evaluate", workspace)
    assert workspace.submitted[NAME].inputs["champion"].endswith("/versions/2")


@pytest.mark.parametrize("named", [CHAMPION, None])
def test_a_command_cannot_choose_another_champion_than_the_one_that_serves(
    stage: Stage, workspace: FakeWorkspace, named: Champion | None
) -> None:
    serve_champion(workspace, "1")
    outcome = stage.with_(champion=named).run("evaluate", workspace)
    if named is None:
        assert isinstance(outcome, Succeeded | Failed)
        assert workspace.submitted[NAME].inputs["champion"].endswith("/versions/1")
    else:
        failed(outcome, FailureKind.CONFLICT, "not the champion, version 2")


def test_a_champion_that_is_gone_from_the_registry_is_reported(stage: Stage, workspace: FakeWorkspace) -> None:
    del workspace.registry.models["digits", "2"]
    failed(stage.with_(champion=CHAMPION).poll("evaluate", workspace), FailureKind.NOT_FOUND, "gone from the registry")
