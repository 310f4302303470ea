"""What may come through which queue, whatever a body claims."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.config import WorkspaceReference
from shared.core.commands import due
from shared.core.incoming import MisplacedError, read
from shared.core.lane import decide
from shared.core.message_bodies import encode
from shared.core.messages import (
    RECONCILE,
    Command,
    Event,
    FindRegistrations,
    JobEnded,
    ModelRegistered,
    RunStep,
    StepReported,
)
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.core.wire import UndecodableError
from tests.config.right import WORKSPACE
from tests.core.world import KEY, NOW, answer, requested

#: A step for the worker of dev: `share`.
COMMAND: RunStep = due(decide(Lane(KEY), requested(), NOW).lane)[0]
SEARCH = FindRegistrations("dev", NOW, NOW)
REPORT: StepReported = answer(COMMAND)
NEWS = ModelRegistered(WORKSPACE.format("dev"), "churn-eu", "1", {"promote": "true"}, "event-grid")
FOUND = replace(NEWS, source=RECONCILE)
JOB = JobEnded(WORKSPACE.format("dev"), "job", "training", "Completed", {}, "event-grid")


def workspace_of(environment: str) -> WorkspaceReference:
    return WorkspaceReference.parse(WORKSPACE.format(environment))


def received(queue: str, message: Command | Event) -> Command | Event:
    return read(queue, encode(message), workspace_of)


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("promotion-events", NEWS),
        ("promotion-events", FOUND),
        ("promotion-events", JOB),
        ("steps-dev", COMMAND),
        ("steps-dev", SEARCH),
        ("reports-dev", REPORT),
        ("reports-dev", FOUND),
    ],
)
def test_a_message_that_belongs_in_its_queue_is_accepted_unchanged(queue: str, message: Command | Event) -> None:
    assert received(queue, message) == message


@pytest.mark.parametrize(
    ("queue", "message", "says"),
    [
        ("promotion-events", COMMAND, "RunStep is not news from a workspace"),
        ("promotion-events", SEARCH, "FindRegistrations is not news from a workspace"),
        ("promotion-events", REPORT, "StepReported is not news from a workspace"),
        ("steps-dev", NEWS, "ModelRegistered is not a command"),
        ("steps-dev", REPORT, "StepReported is not a command"),
        ("steps-test", COMMAND, "the command is for the worker of dev, and the worker of test refuses it"),
        ("steps-test", SEARCH, "the command is for the worker of dev, and the worker of test refuses it"),
        ("reports-dev", COMMAND, "RunStep is not a message that a worker sends"),
        ("reports-dev", JOB, "JobEnded is not a message that a worker sends"),
        ("reports-dev", NEWS, "a worker may report registrations only with the source reconcile, not 'event-grid'"),
        ("reports-test", FOUND, f"the worker of test reported a model in {FOUND.workspace}, which is not its"),
    ],
)
def test_what_belongs_elsewhere_is_refused_in_words(queue: str, message: Command | Event, says: str) -> None:
    with pytest.raises(MisplacedError, match=says) as refused:
        received(queue, message)
    carried = replace(REPORT, environment="") if message is REPORT else message
    assert refused.value.message == carried


@pytest.mark.parametrize("queue", ["promotion-events", "steps-dev", "reports-dev"])
def test_what_cannot_be_read_is_refused_in_every_queue(queue: str) -> None:
    with pytest.raises(UndecodableError, match="not JSON"):
        read(queue, b"{", workspace_of)


def saying(message: Command | Event, **more: Any) -> bytes:
    """The body of a message with further content."""
    document = json.loads(encode(message))
    return json.dumps({**document, **more, "content": document["content"] | more}).encode()


def test_a_report_is_of_the_environment_of_its_queue_whatever_its_body_says() -> None:
    for environment in ("dev", "test", "prod"):
        report = read(f"reports-{environment}", saying(REPORT, environment="prod"), workspace_of)
        assert isinstance(report, StepReported)
        assert report.environment == environment


@pytest.mark.parametrize("written", [str.upper, str.lower, lambda text: f"{text}/"])
def test_a_worker_may_write_the_id_of_its_workspace_as_azure_does(written: Callable[[str], str]) -> None:
    own = received("reports-dev", replace(FOUND, workspace=written(FOUND.workspace)))
    assert isinstance(own, ModelRegistered)
    assert own.workspace == workspace_of("dev").id


REGISTRY = "azureml://registries/contoso-ml"


@pytest.mark.parametrize("written", [REGISTRY, REGISTRY.upper()])
def test_a_workers_word_on_the_registry_counts_under_the_registrys_own_id(written: str) -> None:
    report = encode(replace(FOUND, workspace=written))
    assert read("reports-dev", report, workspace_of, REGISTRY) == replace(FOUND, workspace=REGISTRY)


def test_a_worker_that_may_report_the_registry_reports_no_other_registry_or_workspace() -> None:
    assert read("reports-dev", encode(FOUND), workspace_of, REGISTRY) == FOUND
    for elsewhere in (f"{REGISTRY}-too", WORKSPACE.format("prod")):
        with pytest.raises(MisplacedError, match="which is not its workspace"):
            read("reports-dev", encode(replace(FOUND, workspace=elsewhere)), workspace_of, REGISTRY)


def test_a_worker_without_a_registry_reports_none() -> None:
    with pytest.raises(MisplacedError, match="which is not its workspace"):
        received("reports-dev", replace(FOUND, workspace=REGISTRY))
