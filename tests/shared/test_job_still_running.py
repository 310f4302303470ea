"""A model that a running job registers waits for the job's end, and is woken by its event."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.awaiting import PROMOTION
from shared.core.message_bodies import decode
from shared.core.messages import Running as RunningOutcome
from shared.core.messages import RunStep, StepReported
from shared.core.replacing import replace
from shared.ports import Job
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import MODEL, REGISTERED, VERSION, Running, started

STATUS_CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"
JOB = "train-3"


@pytest.fixture
def early(tmp_path: Path) -> Running:
    """An app that has found the job of the model under way, many times."""
    running = started(tmp_path)
    dev = running.app.workspaces["dev"]
    dev.has_model(MODEL, VERSION, job=JOB)
    dev.jobs[JOB] = Job(JOB, "Running", "training")
    running.app.coordinator.intake(WORKSPACE.format("dev"), REGISTERED, {"modelName": MODEL, "modelVersion": VERSION})
    for _ in range(41):
        deliver(running)
    return running


def deliver(running: Running) -> None:
    """The next message of any queue."""
    bus, app = running.bus, running.app
    queue, body = bus.messages.pop(0)
    if queue == "promotion-events":
        app.coordinator.advance(body)
    elif queue == "steps-dev":
        app.worker.receive("dev", body)
    else:
        app.coordinator.take_report("dev", body)


def waits_for_job(report: StepReported) -> bool:
    return isinstance(report.outcome, RunningOutcome) and report.outcome.awaits is not None


def next_poll(running: Running) -> RunStep:
    (_, body) = running.bus.messages[-1]
    command = decode(body)
    assert isinstance(command, RunStep)
    return command


def end(running: Running, status: str, workspace: str = "dev", job: str = JOB, tags: Any = None) -> None:
    running.app.workspaces["dev"].jobs[JOB] = Job(JOB, status, "training")
    data = {"runId": job, "experimentName": "training", "runStatus": status, "runTags": tags or {}}
    running.app.coordinator.intake(WORKSPACE.format(workspace), STATUS_CHANGED, data)
    _, news = running.bus.messages.pop()
    running.app.coordinator.advance(news)


def steps(running: Running) -> dict[str, str]:
    document = running.app.requests.promotion(running.promotion["id"])
    return {step["name"]: step["status"] for step in document["stages"][0]["steps"]}


def test_it_waits_and_says_so(early: Running) -> None:
    [wait] = early.app.requests.promotion(early.promotion["id"])["waits"]
    assert "job train-3 to end" in wait["for"]
    assert steps(early)["share"] == "running"
    assert (next_poll(early).not_before - datetime.now(UTC)).total_seconds() > 100


@pytest.mark.parametrize(("status", "ends_as"), [("Completed", "running"), ("Failed", "refused")])
def test_the_event_of_the_jobs_end_wakes_it_at_once(early: Running, status: str, ends_as: str) -> None:
    late = next_poll(early)
    end(early, status)
    woken = next_poll(early)
    assert woken.poll == late.poll + 1
    assert woken.not_before <= datetime.now(UTC)
    early.run()
    assert (steps(early)["share"], early.promotion["status"]) == ("succeeded", ends_as)


def test_the_tag_of_a_job_leads_to_the_lane_that_does_not_wait_for_it_yet(tmp_path: Path) -> None:
    """A job that ends at once is faster than the report of the poll that submitted it."""
    running = started(tmp_path)
    dev = running.app.workspaces["dev"]
    dev.has_model(MODEL, VERSION, job=JOB)
    dev.jobs[JOB] = Job(JOB, "Running", "training")
    running.app.coordinator.intake(WORKSPACE.format("dev"), REGISTERED, {"modelName": MODEL, "modelVersion": VERSION})
    while not (isinstance(last := decode(running.bus.messages[-1][1]), StepReported) and waits_for_job(last)):
        deliver(running)
    report = running.bus.messages.pop()
    end(running, "Completed", tags={PROMOTION: running.promotion["id"], "other": "x"})
    running.bus.messages.insert(0, report)
    deliver(running)
    assert next_poll(running).not_before <= datetime.now(UTC)
    assert next_poll(running).not_before <= datetime.now(UTC)


def test_a_tag_that_names_no_promotion_wakes_nobody(early: Running) -> None:
    late = next_poll(early)
    end(early, "Completed", job="another", tags={PROMOTION: "no-such-promotion"})
    assert next_poll(early) == late


def test_the_same_job_of_another_workspace_wakes_nobody(early: Running) -> None:
    late = next_poll(early)
    end(early, "Completed", workspace="test")
    assert next_poll(early) == replace(late)
