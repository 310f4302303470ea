"""The queues and subscriptions of infra/ are those that the functions listen to."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from localcloud.up.description import QUEUE_PROPERTIES
from shared.coordinator.notifications import read
from tests.config.right import RIGHT
from tests.infra.deployed import Deployed
from tests.infra.shapes import REPOSITORY, WEBHOOK, deployed, of_type, settings, subscribed, worker, workspace

STEPS = ("steps-dev", "steps-test", "steps-prod")
REPORTS = ("reports-dev", "reports-test", "reports-prod")
INDEXED = """
import json
import function_app
def told(trigger):
    return [trigger.type, *(getattr(trigger, name, None) for name in ("queue_name", "connection", "data_type"))]
print(json.dumps({f.get_function_name(): told(f.get_trigger()) for f in function_app.app.get_functions()}))
"""


def indexed(folder: Path, made: Deployed) -> Mapping[str, list[Any]]:
    """Type, queue, connection and type of the body of each trigger, in an app with the settings of a deployment."""
    (folder / "promotion.yml").write_text(RIGHT, encoding="utf-8")
    given = {name: str(value) for name, value in settings(made).items()}
    environment = given | {"MLPROMOTE_CONFIGURATION": str(folder / "promotion.yml")}
    command = [sys.executable, "-c", INDEXED]
    answer = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    found: Mapping[str, list[Any]] = json.loads(answer.stdout)
    return found


def listened_to(functions: Mapping[str, list[Any]]) -> set[str]:
    return {queue for kind, queue, *_ in functions.values() if kind == "serviceBusTrigger"}


def test_one_app_listens_to_every_queue_that_is_made(tmp_path: Path) -> None:
    made = deployed()
    queues = {queue.name for queue in of_type(made, "Microsoft.ServiceBus/namespaces/queues")}
    assert queues == listened_to(indexed(tmp_path, made)) == {"promotion-events", *STEPS, *REPORTS}


def test_the_apps_of_the_other_shape_share_the_queues_and_make_them_once(tmp_path: Path) -> None:
    coordinator = deployed("coordinator")
    queues = {queue.name for queue in of_type(coordinator, "Microsoft.ServiceBus/namespaces/queues")}
    assert listened_to(indexed(tmp_path, coordinator)) == {"promotion-events", *REPORTS}
    assert listened_to(indexed(tmp_path, worker("prod"))) == {"steps-prod"}
    assert of_type(worker("prod"), "Microsoft.ServiceBus/namespaces/queues") == []
    assert queues == {"promotion-events", *STEPS, *REPORTS}


def test_the_settings_have_the_connection_of_every_trigger(tmp_path: Path) -> None:
    made = deployed()
    connections = {connection for _, queue, connection, _ in indexed(tmp_path, made).values() if queue}
    for connection in connections:
        assert settings(made)[f"{connection}__fullyQualifiedNamespace"].endswith(".servicebus.windows.net")
        assert settings(made)[f"{connection}__credential"] == "managedidentity"


def test_every_message_arrives_as_bytes_so_that_fields_of_its_body_cannot_replace_its_id(tmp_path: Path) -> None:
    """They would: https://github.com/Azure/azure-functions-host/issues/7119"""
    found = [of_body for _, queue, _, of_body in indexed(tmp_path, deployed()).values() if queue]
    assert set(found) == {func.DataType.BINARY.value}


@pytest.mark.parametrize("queue", of_type(deployed(), "Microsoft.ServiceBus/namespaces/queues"), ids=lambda q: q.name)
def test_a_queue_keeps_what_the_app_relies_on(queue: Any) -> None:
    properties = queue.properties
    assert properties["requiresDuplicateDetection"] is True
    assert minutes(properties["duplicateDetectionHistoryTimeWindow"]) >= timedelta(minutes=10)
    assert properties["deadLetteringOnMessageExpiration"] is True
    for name in ("maxDeliveryCount", "lockDuration"):
        assert properties[name] == QUEUE_PROPERTIES[name[0].upper() + name[1:]]


def minutes(duration: str) -> timedelta:
    """An ISO 8601 duration of whole minutes."""
    return timedelta(minutes=int(duration.removeprefix("PT").removesuffix("M")))


def subscriptions(made: Deployed | None = None) -> dict[str, Any]:
    """The properties of each event subscription, by the workspace."""
    made = made or subscribed()
    topics = of_type(made, "Microsoft.EventGrid/systemTopics")
    found = of_type(made, "Microsoft.EventGrid/systemTopics/eventSubscriptions")
    return {one.properties["source"]: each.properties for one, each in zip(topics, found, strict=True)}


def test_every_workspace_delivers_to_the_function_that_takes_events(tmp_path: Path) -> None:
    found = subscriptions()
    assert set(found) == {workspace(name) for name in ("dev", "test", "prod")}
    for subscription in found.values():
        destination = subscription["destination"]
        assert (destination["endpointType"], destination["properties"]["endpointUrl"]) == ("WebHook", WEBHOOK)
    functions = indexed(tmp_path, deployed())
    assert functions["take_events"][0] == "httpTrigger"
    assert WEBHOOK.partition("?")[0].endswith("/api/events")


def test_a_workspace_is_left_alone_where_somebody_else_subscribes_the_app_to_it() -> None:
    environments = [
        {"name": name, "workspace": workspace(name), "source": name == "dev", "events": name != "prod"}
        for name in ("dev", "prod")
    ]
    assert set(subscriptions(subscribed(deployed(environments=environments)))) == {workspace("dev")}


def test_only_events_are_delivered_that_the_app_takes_there() -> None:
    registered = "Microsoft.MachineLearningServices.ModelRegistered"
    found = subscriptions()
    assert [name for name in found if registered in found[name]["filter"]["includedEventTypes"]] == [workspace("dev")]
    data = {"modelName": "m", "modelVersion": "1", "runId": "r", "experimentName": "e", "runStatus": "Failed"}
    for name, subscription in found.items():
        for kind in subscription["filter"]["includedEventTypes"]:
            assert read(name, kind, data) is not None, kind


def test_what_cannot_be_delivered_is_kept_in_a_container_that_is_made_and_may_be_written() -> None:
    subscription = subscriptions()[workspace("prod")]
    topic = of_type(subscribed(), "Microsoft.EventGrid/systemTopics")[0]
    letters = subscription["deadLetterWithResourceIdentity"]
    place = letters["deadLetterDestination"]["properties"]
    container = f"{place['resourceId']}/blobServices/default/containers/{place['blobContainerName']}"
    made = {resource.id for resource in deployed().resources}
    assert container in made
    assert letters["identity"]["userAssignedIdentity"] in made
    assert list(topic.body["identity"]["userAssignedIdentities"]) == [letters["identity"]["userAssignedIdentity"]]
    assert subscription["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
