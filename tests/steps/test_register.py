from dataclasses import replace
from typing import Any

import pytest

from shared.core.messages import Failed, FailureKind, Kind, Running, Succeeded
from shared.ports import Job
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import Stage


@pytest.fixture
def dev() -> FakeWorkspace:
    fake = FakeWorkspace(name="ws-dev")
    fake.jobs["train-7"] = Job(
        "train-7", "Completed", "digits-training", outputs={"model": "custom_model", "log": "uri_file"}
    )
    return fake


@pytest.fixture
def ended(stage: Stage) -> Stage:
    """The promotion of a job whose output is to become the next version of model digits."""
    return stage.with_(kind=Kind.JOB, version="train-7", settings={"output": "model", "tags": {"promote": "true"}})


def test_registers_the_output_as_the_next_version_with_the_job_as_origin(ended: Stage, dev: FakeWorkspace) -> None:
    for version in ("1", "9", "10", "2.0-rc"):
        dev.has_model("digits", version)
    outcome = ended.run("register", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["version"] == "11"
    made = dev.models["digits", "11"]
    assert (made.job, made.tags) == ("train-7", {"promote": "true", "mlpromote.job": "train-7"})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"experiment": "trials"}, "belongs to experiment digits-training, but the route takes jobs of trials"),
        ({"experiment": "digits-training", "job_tags": {"ready": "yes"}}, "lacks the tag ready=yes"),
    ],
)
def test_a_job_is_asked_itself_whether_the_route_takes_it(
    asked: dict[str, Any], says: str, stage: Stage, dev: FakeWorkspace
) -> None:
    """An event may have said otherwise."""
    settings = {"output": "model", "tags": {}, **asked}
    outcome = stage.with_(kind=Kind.JOB, version="train-7", settings=settings).run("register", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert says in outcome.reason
    assert dev.models == {}


def test_the_first_version_is_1(ended: Stage, dev: FakeWorkspace) -> None:
    outcome = ended.run("register", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["version"] == "1"


def test_the_same_job_twice_is_one_version(ended: Stage, dev: FakeWorkspace) -> None:
    first = ended.run("register", dev)
    assert ended.run("register", dev) == first
    assert ended.with_(attempt=2).run("register", dev) == first
    assert len(dev.models) == 1


def test_the_same_job_is_known_by_its_tag_too(ended: Stage, dev: FakeWorkspace) -> None:
    dev.has_model("digits", "4", tags={"mlpromote.job": "train-7"})
    ended.run("register", dev)
    assert list(dev.models) == [("digits", "4")]


def test_a_crash_behind_the_registration_does_not_make_a_second_version(ended: Stage, dev: FakeWorkspace) -> None:
    dev.dies_after = "register_output"
    assert isinstance(ended.run("register", dev), Succeeded)
    assert len(dev.models) == 1


def test_a_job_that_has_not_ended_is_polled_again(ended: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["train-7"] = replace(dev.jobs["train-7"], status="Finalizing")
    assert isinstance(ended.poll("register", dev), Running)
    assert not dev.models


@pytest.mark.parametrize("status", ["Failed", "Canceled"])
def test_a_job_that_ended_badly_is_refused_in_words(ended: Stage, dev: FakeWorkspace, status: str) -> None:
    dev.jobs["train-7"] = replace(dev.jobs["train-7"], status=status)
    outcome = ended.run("register", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert status in outcome.reason
    assert not dev.models


def test_a_step_of_a_pipeline_is_refused(ended: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["train-7"] = replace(dev.jobs["train-7"], parent="pipeline-1")
    outcome = ended.run("register", dev)
    assert isinstance(outcome, Failed)
    assert "pipeline-1" in outcome.reason


def test_a_job_without_that_output_is_reported_with_the_outputs_there_are(ended: Stage, dev: FakeWorkspace) -> None:
    outcome = ended.with_(settings={"output": "weights"}).run("register", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert "no output weights. Its outputs: log, model" in outcome.reason


def test_a_job_that_is_gone_is_not_found(ended: Stage, dev: FakeWorkspace) -> None:
    dev.jobs.clear()
    outcome = ended.run("register", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND


def test_settings_without_an_output_are_a_fault_of_the_configuration(ended: Stage, dev: FakeWorkspace) -> None:
    outcome = ended.with_(settings={}).run("register", dev)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
