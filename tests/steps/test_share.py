import math
from collections.abc import Mapping
from typing import Any

import pytest

from shared.core.approval import Author
from shared.core.messages import AwaitedJob, Failed, FailureKind, Running, Succeeded
from shared.core.replacing import replace
from shared.core.wire import from_json
from shared.ports import BusyError, ForbiddenError, Job, UnavailableError
from shared.worker.lineage import Lineage
from shared.worker.steps.share import Shared
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import DEV_WORKSPACE, ORIGIN, Stage


@pytest.fixture
def dev() -> FakeWorkspace:
    """The source workspace, with a trained model that is not shared yet."""
    fake = FakeWorkspace(name="ws-dev")
    fake.has_model("digits", "3", tags={"promote": "true"}, job="train-3")
    fake.jobs["train-3"] = Job(
        "train-3",
        "Completed",
        "digits-training",
        inputs={"data": "azureml:digits:1"},
        code="code-1",
        environment_asset="sklearn-1",
        properties={"mlflow.source.git.commit": "f00"},
    )
    fake.made_by["digits", "3"] = [Author("id-of-dora", "dora", is_person=True)]
    fake.job_metrics["train-3"] = {"accuracy": 0.95}
    return fake


def test_succeeds_once_the_registry_has_the_copy_and_says_where_the_model_came_from(
    stage: Stage, dev: FakeWorkspace
) -> None:
    dev.polls_until_ready = 3
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {
        "registry_model": "azureml://registries/reg/models/digits/versions/3",
        "authors": [{"id": "id-of-dora", "name": "dora", "is_person": True}],
        "origin": ORIGIN,
        "registered": "2026-01-02T03:04:05+00:00",
        "tags": {"promote": "true"},
        "job": {
            "name": "train-3",
            "status": "Completed",
            "experiment": "digits-training",
            "code": "code-1",
            "environment": "sklearn-1",
            "inputs": {"data": "azureml:digits:1"},
            "git": {"commit": "f00"},
            "tags": {},
        },
        "metrics": {"accuracy": 0.95},
        "metrics_left_out": 0,
        "not_numbers": {},
        "measured_by": {},
        "unclear": {},
        "looked_in": ["job train-3"],
        "properties": {},
        "not_here": [],
    }


def test_a_model_without_the_tags_that_an_event_claimed_is_not_shared(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_model("digits", "3", tags={"promote": "false"})
    outcome = stage.with_settings(require_tags={"promote": "true"}).run("share", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert "does not have the tag promote=true, which route" in outcome.reason
    assert dev.calls["start_share"] == 0


def test_never_waits_for_the_copy(stage: Stage, dev: FakeWorkspace) -> None:
    dev.polls_until_ready = 3
    assert isinstance(stage.poll("share", dev), Running)


def test_a_second_run_finds_the_copy_and_starts_nothing(stage: Stage, dev: FakeWorkspace) -> None:
    first = stage.run("share", dev)
    assert stage.run("share", dev) == first
    assert dev.calls["start_share"] == 1


def test_goes_on_after_a_crash_behind_the_start_of_the_import(stage: Stage, dev: FakeWorkspace) -> None:
    dev.dies_after = "start_share"
    assert isinstance(stage.run("share", dev), Succeeded)


def test_asks_again_now_and_then_because_a_failed_import_leaves_no_trace(stage: Stage, dev: FakeWorkspace) -> None:
    dev.polls_until_ready = 1000
    for poll in range(1, 33):
        stage.poll("share", dev, poll)
    assert dev.calls["start_share"] == 6


def test_asks_soon_again_where_the_first_request_was_throttled(stage: Stage, dev: FakeWorkspace) -> None:
    dev.raises["start_share"] = UnavailableError("throttled")
    assert isinstance(stage.run("share", dev), Succeeded)
    assert dev.calls["start_share"] == 2


def test_an_import_that_is_under_way_is_waited_for(stage: Stage, dev: FakeWorkspace) -> None:
    dev.raises["start_share"] = BusyError("an import is under way")
    assert isinstance(stage.poll("share", dev), Running)


def test_a_copy_of_another_model_is_a_conflict(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_copy("digits", "3", "azureml://locations/west/workspaces/other/models/digits/versions/3")
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "workspaces/other" in outcome.reason
    assert "new version" in outcome.reason


def test_the_case_of_an_origin_does_not_matter(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_copy("digits", "3", ORIGIN.upper())
    assert isinstance(stage.run("share", dev), Succeeded)


def test_a_model_that_does_not_exist_is_not_found(stage: Stage, dev: FakeWorkspace) -> None:
    dev.models.clear()
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert "no model digits, version 3, in dev, workspace ws-dev: it was deleted or never existed" in outcome.reason
    assert "`az ml model list --name digits --workspace-name ws-dev --resource-group g`" in outcome.reason


def test_a_model_whose_files_are_gone_is_not_found_and_not_shared(stage: Stage, dev: FakeWorkspace) -> None:
    dev.lost_files.add(("digits", "3"))
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert "files" in outcome.reason
    assert not dev.calls["start_share"]


def test_a_model_without_a_job_has_no_metrics(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_model("digits", "3")
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    shared = from_json(Shared, outcome.evidence)
    assert (shared.job, shared.metrics) == (None, {})


def test_a_job_that_was_deleted_is_named_all_the_same(stage: Stage, dev: FakeWorkspace) -> None:
    dev.jobs.clear()
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert from_json(Shared, outcome.evidence).job == Lineage("train-3")


def test_evidence_stays_small_and_keeps_the_metrics_that_gates_ask_for(stage: Stage, dev: FakeWorkspace) -> None:
    dev.job_metrics["train-3"] = {f"metric-{number:04}": 1.0 for number in range(500)} | {
        "zeta": 0.5,
        "nan": float("nan"),
    }
    dev.has_model("digits", "3", job="train-3", tags={f"tag-{number}": "x" * 5000 for number in range(100)})
    outcome = stage.with_settings(validate=[{"metric": "zeta", "at_least": 0.1}]).run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert len(outcome.evidence["metrics"]) == 100
    assert outcome.evidence["metrics"]["zeta"] == 0.5
    assert outcome.evidence["metrics_left_out"] == 402
    assert "nan" not in outcome.evidence["metrics"]
    assert len(outcome.evidence["tags"]) == 50
    assert max(map(len, outcome.evidence["tags"].values())) == 256


def test_the_tags_that_the_route_asks_for_are_kept_before_all_others(stage: Stage, dev: FakeWorkspace) -> None:
    tags = {f"a-{number:04}": "x" for number in range(1200)} | {"promote": "true"}
    dev.has_model("digits", "3", job="train-3", tags=tags)
    outcome = replace(stage, settings={**stage.settings, "require_tags": {"promote": "true"}}).run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["tags"]["promote"] == "true"
    assert len(outcome.evidence["tags"]) == 50


def test_an_author_that_may_not_be_read_is_left_out_and_stops_nothing(stage: Stage, dev: FakeWorkspace) -> None:
    dev.raises["authors"] = ForbiddenError("may not read run history")
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["authors"] == []


def test_a_metric_that_a_later_stage_asks_for_is_never_left_out(stage: Stage, dev: FakeWorkspace) -> None:
    asked = [f"zeta-{number}" for number in range(120)]
    dev.job_metrics["train-3"] = {f"metric-{number:04}": 1.0 for number in range(500)} | dict.fromkeys(asked, 0.5)
    outcome = stage.with_(options={"metrics": ["missing", "zeta-119"]}).run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["metrics"]["zeta-119"] == 0.5
    assert (len(outcome.evidence["metrics"]), outcome.evidence["metrics_left_out"]) == (100, 520)

    outcome = stage.with_(options={"metrics": asked}).run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["metrics"] == dict.fromkeys(asked, 0.5)


def test_what_is_not_a_number_is_reported_as_it_was_logged(stage: Stage, dev: FakeWorkspace) -> None:
    dev.job_metrics["train-3"] = {"loss": math.nan, "up": math.inf, "down": -math.inf, "accuracy": 0.9}
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["metrics"] == {"accuracy": 0.9}
    assert outcome.evidence["not_numbers"] == {"loss": "NaN", "up": "Infinity", "down": "-Infinity"}
    assert outcome.evidence["metrics_left_out"] == 0


@pytest.mark.parametrize("status", ["Running", "Finalizing", "NotStarted"])
def test_a_model_whose_job_still_runs_waits_for_its_end(stage: Stage, dev: FakeWorkspace, status: str) -> None:
    dev.jobs["train-3"] = replace(dev.jobs["train-3"], status=status)
    dev.has_copy("digits", "3", ORIGIN)
    outcome = stage.poll("share", dev)
    assert isinstance(outcome, Running)
    assert outcome.awaits == AwaitedJob(DEV_WORKSPACE, "train-3")
    assert outcome.says == "waits for job train-3, which made the model, to end"


@pytest.mark.parametrize("status", ["Completed", "Failed", "Canceled"])
def test_a_model_whose_job_has_ended_waits_no_longer(stage: Stage, dev: FakeWorkspace, status: str) -> None:
    dev.jobs["train-3"] = replace(dev.jobs["train-3"], status=status)
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["job"]["status"] == status


def test_it_asks_after_the_job_less_and_less_often(stage: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["train-3"] = replace(dev.jobs["train-3"], status="Running")
    dev.has_copy("digits", "3", ORIGIN)
    pauses: list[float] = []
    state: Mapping[str, Any] = {}
    for poll in range(1, 40):
        command = replace(stage.command("share", poll), state=state)
        outcome = stage.run_command(command, dev)
        assert isinstance(outcome, Running)
        pauses.append(outcome.poll_again_after.total_seconds())
        state = outcome.state
    assert (pauses[0], pauses[-1]) == (1, 300)
    assert pauses == sorted(pauses)


def test_a_run_that_was_tracked_outside_of_a_job_is_an_origin_as_a_job_is(stage: Stage, dev: FakeWorkspace) -> None:
    commit = {"mlflow.source.git.commit": "f00"}
    dev.jobs["train-3"] = Job("train-3", "Completed", "notebook", properties=commit, is_run=True)
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    shared = from_json(Shared, outcome.evidence)
    assert shared.job == Lineage("train-3", "Completed", "notebook", git={"commit": "f00"}, tracked_by="MLflow")
    assert shared.metrics == {"accuracy": 0.95}


def test_a_run_that_is_still_under_way_is_waited_for(stage: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["train-3"] = Job("train-3", "Running", "notebook", is_run=True)
    dev.has_copy("digits", "3", ORIGIN)
    outcome = stage.poll("share", dev)
    assert isinstance(outcome, Running)
    assert outcome.says == "waits for run train-3, which made the model, to end"


def test_while_the_registry_copies_or_the_job_runs_a_poll_is_one_look(stage: Stage, dev: FakeWorkspace) -> None:
    """Except at the polls that ask for the copy again."""
    dev.polls_until_ready = 5
    dev.jobs["train-3"] = replace(dev.jobs["train-3"], status="Running")
    state: Mapping[str, Any] = {}
    calls = []
    for poll in range(1, 13):
        dev.calls.clear()
        outcome = stage.run_command(replace(stage.command("share", poll), state=state), dev)
        assert isinstance(outcome, Running)
        state = outcome.state
        calls.append(dict(dev.calls))
    assert calls[2] == {"registry_model": 1}
    assert calls[-1] == {"job": 1}


def test_a_model_that_lost_its_tag_while_it_was_copied_is_refused_at_the_next_request(
    stage: Stage, dev: FakeWorkspace
) -> None:
    asked = stage.with_settings(require_tags={"promote": "true"})
    dev.polls_until_ready = 50
    first = asked.run_command(asked.command("share"), dev)
    assert isinstance(first, Running)
    dev.has_model("digits", "3", tags={}, job="train-3")
    assert isinstance(asked.run_command(replace(asked.command("share", 3), state=first.state), dev), Running)
    again = asked.run_command(replace(asked.command("share", 4), state=first.state), dev)
    assert isinstance(again, Failed)
    assert again.kind is FailureKind.REFUSED


def test_this_apps_own_tags_are_kept_before_others_that_nobody_asks_for(stage: Stage, dev: FakeWorkspace) -> None:
    others = {f"a-{number:04}": "x" for number in range(60)}
    dev.has_model("digits", "3", job="train-3", tags={**others, "mlpromote.job": "train-3"})
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["tags"]["mlpromote.job"] == "train-3"
    assert len(outcome.evidence["tags"]) == 50
