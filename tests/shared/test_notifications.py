"""Event Grid notifications in all forms that Azure's samples and SDKs show."""

from typing import Any

import pytest

from shared.coordinator import notifications
from shared.coordinator.notifications import MalformedNotificationError
from shared.core.message_bodies import encode
from shared.core.messages import JobEnded, ModelRegistered

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
REGISTERED = "Microsoft.MachineLearningServices.ModelRegistered"
COMPLETED = "Microsoft.MachineLearningServices.RunCompleted"
CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"


@pytest.mark.parametrize(
    "data",
    [
        {"ModelName": "churn", "ModelVersion": 3, "ModelTags": {"promote": "true"}, "ModelProperties": {}},
        {"modelName": "churn", "modelVersion": "3", "modelTags": {"promote": "true"}},
        {"MODELNAME": "churn", "modelversion": "3", "ModelTags": {"promote": "true"}, "more": [1]},
    ],
)
def test_a_registered_model_is_read_in_any_casing_with_a_version_of_either_type(data: dict[str, Any]) -> None:
    read = notifications.read(WORKSPACE, REGISTERED, data)
    assert read == ModelRegistered(WORKSPACE, "churn", "3", {"promote": "true"}, "event-grid")


def test_names_and_versions_are_kept_as_they_are() -> None:
    data = {"ModelName": "a%2Fb:ü ~", "ModelVersion": "2026-11-20+rc 1"}
    read = notifications.read(WORKSPACE, REGISTERED.upper(), data)
    assert isinstance(read, ModelRegistered)
    assert (read.name, read.version, read.tags) == ("a%2Fb:ü ~", "2026-11-20+rc 1", {})


def job(**changes: Any) -> dict[str, Any]:
    return {"experimentName": "training", "runId": "brave_fox", "runType": "azureml.scriptrun"} | changes


def test_a_completed_job_is_news() -> None:
    read = notifications.read(WORKSPACE, COMPLETED, job(runTags={"a": None, "b": 1}))
    assert read == JobEnded(WORKSPACE, "brave_fox", "training", "Completed", {"a": "", "b": "1"}, "event-grid")


@pytest.mark.parametrize(("status", "expected"), [("Failed", "Failed"), ("canceled", "Canceled")])
def test_a_job_that_ended_badly_is_news(status: str, expected: str) -> None:
    read = notifications.read(WORKSPACE, CHANGED, job(runStatus=status))
    assert isinstance(read, JobEnded)
    assert read.status == expected


@pytest.mark.parametrize("status", ["Running", "Queued", "Preparing"])
def test_a_job_that_has_not_ended_is_no_news(status: str) -> None:
    assert notifications.read(WORKSPACE, CHANGED, job(runStatus=status)) is None


@pytest.mark.parametrize("key", ["azureml.pipelinerunid", "azureml.rootpipelinerunid", "AzureML.PipelineRunId"])
def test_a_job_inside_a_pipeline_job_is_no_news(key: str) -> None:
    child = job(runType="azureml.StepRun", runProperties={key: "the_parent"})
    assert notifications.read(WORKSPACE, COMPLETED, child) is None


def test_a_model_that_an_automl_job_tries_out_is_no_news() -> None:
    """As in the sample of https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning."""
    child = {
        "ExperimentName": "automl-local-regression",
        "RunId": "AutoML_ad912b2d-6467-4f32-a616-dbe4af6dd8fc_5",
        "RunType": None,
        "RunTags": {},
        "RunProperties": {"runTemplate": "automl_child", "run_template": "automl_child", "iteration": "5"},
    }
    assert notifications.read(WORKSPACE, COMPLETED, child) is None


def test_the_automl_job_itself_is_news() -> None:
    parent = job(runId="AutoML_ad912b2d", runType="automl", runProperties={"runTemplate": "AutoML"})
    assert isinstance(notifications.read(WORKSPACE, COMPLETED, parent), JobEnded)


def test_the_pipeline_job_itself_is_news() -> None:
    parent = job(runType="azureml.PipelineRun", runProperties={"azureml.rootpipelinerunid": "another"})
    assert isinstance(notifications.read(WORKSPACE, COMPLETED, parent), JobEnded)


@pytest.mark.parametrize("kind", ["Microsoft.Storage.BlobCreated", "ModelDeployed"])
def test_another_type_is_no_news(kind: str) -> None:
    assert notifications.read(WORKSPACE, kind, None) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"ModelName": "churn"},
        {"ModelName": "", "ModelVersion": 1},
        {"ModelName": "churn", "ModelVersion": True},
        {"ModelName": "churn", "ModelVersion": {"major": 1}},
        {"ModelName": "churn", "ModelVersion": 1, "ModelTags": "promote"},
    ],
)
def test_a_malformed_notification_says_what_is_wrong(data: Any) -> None:
    with pytest.raises(MalformedNotificationError, match=r"must be|needs"):
        notifications.read(WORKSPACE, REGISTERED, data)


def test_a_notification_without_a_source_is_malformed() -> None:
    with pytest.raises(MalformedNotificationError):
        notifications.read(None, REGISTERED, {"ModelName": "churn", "ModelVersion": 1})


@pytest.mark.parametrize("kind", ["", None])
def test_a_notification_without_a_type_is_malformed(kind: str | None) -> None:
    with pytest.raises(MalformedNotificationError, match="needs a type"):
        notifications.read(WORKSPACE, kind, {})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


#: Any JSON value, in any place.
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**4000, "", "x" * 300, "9" * 5000, "a\0b", "a\x1b[2J", "a\u202eb", "a\nb",
    "\ud800", {"a": "\ud800"}, {"\ud800": "a"}, [], [1], {}, {"a": 1}, {"a": None}, nested(5000), {"a": nested(5000)},
    float("inf"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [REGISTERED, COMPLETED, CHANGED, *ODD], ids=lambda each: repr(type(each)))
def test_whatever_stands_in_whatever_place_it_is_news_or_none_or_told_in_words(kind: Any) -> None:
    """8,271 of 10,500 such events were answered as if the app had a bug."""
    right = {"modelName": "churn", "modelVersion": "1", "modelTags": {}, **job(runStatus="Failed", runTags={})}
    places = [*right, "runProperties"]
    cases = [(WORKSPACE, right | {place: odd}) for place in places for odd in ODD]
    cases += [(odd, right) for odd in ODD] + [(WORKSPACE, odd) for odd in ODD]
    for source, data in cases:
        read, says = None, ""
        try:
            read = notifications.read(source, kind, data)
        except MalformedNotificationError as fault:
            says = str(fault)
        assert len(says.encode()) < 1500
        if read is not None:
            encode(read)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"modelName": "churn", "modelVersion": "9" * 5000}, "modelversion must be at most 255 characters, not 5000"),
        ({"modelName": "churn", "modelVersion": 10**4000}, "modelversion must be a string or a whole number"),
        ({"modelName": "a\0b", "modelVersion": 1}, "modelname holds the character U\\+0000"),
        ({"modelName": "a\u202eb", "modelVersion": 1}, "modelname holds the character U\\+202E"),
        ({"modelName": "a", "modelVersion": "1\x1b[2J"}, "modelversion holds the character U\\+001B"),
        ({"modelName": "a", "modelVersion": "\ud800"}, "modelversion holds half a character"),
    ],
)
def test_names_and_versions_that_nobody_could_see_or_keep_are_refused_in_words(data: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedNotificationError, match=says):
        notifications.read(WORKSPACE, REGISTERED, data)
