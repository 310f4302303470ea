"""Bad input: notifications, messages, models, requests."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio
from azure.ai.ml.entities import Model
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from localcloud.up import Description
from tests.e2e.azure import DEADLINE, until
from tests.e2e.conftest import Cloud, describe_tiny
from tests.e2e.events import as_cloud_event, deliver, model_registered, publish
from tests.e2e.promoting import failure

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Names that occur only in events: a promotion of such a model fails at its first poll.
GONE = "There is no model"
#: As unusual as Azure ML allows.
UNUSUAL_NAME, UNUSUAL_VERSION = "tiny-Big_Name.of.v2", "2026-11-20.rc_1"


@pytest.fixture(scope="module")
def description() -> Description:
    # Event Grid gives up after thirty attempts, which take only seconds with these pauses.
    return describe_tiny(retry_pauses=[0.1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def on_their_way(cloud: Cloud) -> None:
    """One model for each test below. Their promotions continue during the first tests."""
    await cloud.azure.make_endpoint("prod", "tiny-taken")
    nowhere = "azureml://datastores/workspaceblobstore/paths/nowhere/"
    model = Model(name="tiny-gone", version="1", path=nowhere, type="custom_model")
    await asyncio.to_thread(cloud.azure.dev.models.create_or_update, model)
    for name in ("tiny-taken", "fileless-a", "unparsable-a", "barred-a", "stray"):
        await cloud.azure.register(name, "1")
    await cloud.azure.register(UNUSUAL_NAME, UNUSUAL_VERSION)


# --- notifications ----------------------------------------------------------------------------------------------------


async def test_the_same_event_once_more_or_two_of_them_at_once_are_one_promotion(cloud: Cloud) -> None:
    event = model_registered(cloud, "tiny-twice", "1")
    await asyncio.gather(publish(cloud, event), publish(cloud, event))
    await cloud.promotions.ended("tiny-twice")
    await publish(cloud, model_registered(cloud, "tiny-twice", "1"))
    await publish(cloud, model_registered(cloud, "tiny-after", "1"))
    await cloud.promotions.ended("tiny-after")
    assert len(await cloud.promotions.all_of("tiny-twice")) == 1


@pytest.mark.parametrize(
    ("version", "keys"),
    [("3", str), (3, str), ("3", str.lower), (3, str.upper)],
    ids=["text", "number", "lower case", "upper case"],
)
async def test_versions_and_keys_are_read_in_all_their_forms(cloud: Cloud, version: Any, keys: Any) -> None:
    model = f"tiny-form-{type(version).__name__}-{keys.__name__}"
    event = model_registered(cloud, model, version)
    await publish(cloud, event | {"data": {keys(key): value for key, value in event["data"].items()}})
    assert GONE in (await cloud.promotions.failed(model, "3"))["reason"]


async def test_cloud_events_are_taken_from_the_topic_and_at_the_webhook(cloud: Cloud) -> None:
    published, delivered = (
        as_cloud_event(model_registered(cloud, f"tiny-{name}", 4)) for name in ("published", "sent")
    )
    await publish(cloud, published)
    assert await deliver(cloud, delivered) == 202
    assert GONE in (await cloud.promotions.failed("tiny-published", "4"))["reason"]
    assert GONE in (await cloud.promotions.failed("tiny-sent", "4"))["reason"]


@pytest.mark.parametrize(
    ("model", "version"),
    [("tiny-Müller & Söhne/x?y#z", "1.0-rc.1+ü"), ("tiny-%2e%2e", ".."), ("tiny-" + "long" * 50, "v" * 200)],
    ids=["signs", "dots", "long"],
)
async def test_unusual_names_and_versions_are_followed_to_the_end(cloud: Cloud, model: str, version: str) -> None:
    await publish(cloud, model_registered(cloud, model, version))
    found = await until(lambda: newest(cloud, version), f"a promotion of {version}")
    assert found["model"] == model
    assert found["status"] == "failed"
    assert "Traceback" not in found["reason"]


async def test_an_event_of_another_type_is_accepted_and_logged(cloud: Cloud) -> None:
    event = model_registered(cloud, "tiny-other", "1") | {"eventType": "Microsoft.MachineLearningServices.DatasetDrift"}
    assert await deliver(cloud, event) == 202
    await until(lambda: logged(cloud, "notification of type Microsoft.MachineLearningServices.DatasetDrift"), "a log")
    assert await cloud.promotions.all_of("tiny-other") == []


async def test_an_event_of_a_workspace_that_is_not_configured_is_accepted_and_logged(cloud: Cloud) -> None:
    event = model_registered(cloud, "tiny-elsewhere", "1")
    event["topic"] = event["topic"].replace("ws-dev", "ws-elsewhere")
    assert await deliver(cloud, event) == 202
    await until(lambda: logged(cloud, f"nothing to do for ModelRegistered of {event['topic']}"), "a log")
    assert await cloud.promotions.all_of("tiny-elsewhere") == []


async def test_a_malformed_event_ends_among_the_dead_letters_of_event_grid(cloud: Cloud) -> None:
    event = model_registered(cloud, "tiny-malformed", "1") | {"data": {"modelName": "tiny-malformed"}}
    await publish(cloud, event)
    file = cloud.parts.layout.data / "eventgrid" / "dead-letters" / "ws-dev-take-events.jsonl"

    async def dead_letter() -> Mapping[str, Any] | None:
        letters = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return next((letter for letter in letters if letter["id"] == event["id"]), None)

    letter = await until(dead_letter, "a dead letter")
    assert letter["data"] == event["data"]
    assert (letter["lastHttpStatusCode"], letter["deliveryAttempts"]) == (400, 1)
    assert await cloud.promotions.all_of("tiny-malformed") == []


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_messages_that_cannot_be_decoded_are_dead_lettered_as_they_are_and_the_app_goes_on(cloud: Cloud) -> None:
    bodies = [b"\xff\xfe not text", b'{"schema": 99, "type": "RunStep"}', "not JSON, and no ASCII: ü".encode()]
    queues = ("promotion-events", "steps-prod", "reports-prod")
    await asyncio.gather(*(is_dead_lettered(cloud, queue, bodies) for queue in queues))
    await cloud.azure.register("fileless-after", "1")
    assert "There is no deployment file" in (await cloud.promotions.failed("fileless-after"))["reason"]


async def is_dead_lettered(cloud: Cloud, queue: str, bodies: list[bytes]) -> None:
    """Send messages to a queue, and find them unchanged in its dead-letter queue."""
    connection = cloud.parts.layout.connection_string
    async with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_sender(queue) as sender,
        client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead_letters,
    ):
        sent = {str(uuid.uuid4()): body for body in bodies}
        await sender.send_messages([ServiceBusMessage(body, message_id=key, subject=key) for key, body in sent.items()])
        found: dict[str, bytes] = {}
        while len(found) < len(sent):
            letters = await dead_letters.receive_messages(len(sent), max_wait_time=DEADLINE)
            assert letters, f"only {len(found)} dead letters in {queue}"
            for letter in letters:
                found[str(letter.subject)] = b"".join(letter.body)
                await dead_letters.complete_message(letter)
        assert found == sent


# --- models -----------------------------------------------------------------------------------------------------------


async def test_a_model_that_no_route_takes_is_recorded_and_left_alone(cloud: Cloud) -> None:
    promotion = await cloud.promotions.ended("stray")
    assert promotion["status"] == "ignored"
    assert promotion["stages"] == []
    assert "no route takes stray from dev (tiny takes tiny-*;" in promotion["reason"]
    assert await cloud.azure.registry_versions("stray") == []


async def test_a_model_with_an_unusual_name_is_promoted(cloud: Cloud) -> None:
    promotion = await cloud.promotions.succeeded(UNUSUAL_NAME, UNUSUAL_VERSION)
    (stage,) = promotion["stages"]
    assert await cloud.azure.only_deployment("prod", stage["endpoint"]) == UNUSUAL_VERSION


@pytest.mark.parametrize(
    ("model", "kind", "sentences"),
    [
        ("tiny-gone", "not-found", ("The files of model tiny-gone, version 1, are gone", "Register the model")),
        (
            "fileless-a",
            "bad-config",
            ("There is no deployment file", "nowhere.yml", "Correct `deployment` of the stage"),
        ),
        ("unparsable-a", "bad-config", ("The deployment file unparsable.yml cannot be read",)),
        ("tiny-taken", "conflict", ("was not made by route tiny", "Choose another `endpoint` for stage prod")),
        ("barred-a", "permission", ("does not have authorization", "Give the identity the role that allows it")),
    ],
)
async def test_what_cannot_be_promoted_fails_and_says_what_to_do(
    cloud: Cloud, model: str, kind: str, sentences: tuple[str, ...]
) -> None:
    promotion = await cloud.promotions.failed(model)
    found = failure(promotion)
    assert found["kind"] == kind
    for sentence in sentences:
        assert sentence in found["reason"]
        assert sentence in promotion["reason"]


async def test_an_endpoint_that_someone_else_made_is_left_alone(cloud: Cloud) -> None:
    await cloud.promotions.failed("tiny-taken")
    assert await cloud.azure.deployments("prod", "tiny-taken") == {}
    assert await cloud.azure.traffic("prod", "tiny-taken") == {}


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/no-such-promotion", 404, "There is no promotion no-such-promotion."),
        ("?status=lost", 400, "unknown status 'lost'; known are queued, running,"),
        ("?colour=red", 400, "unknown parameter colour"),
        ("?top=0", 400, "top must be a whole number from 1 to 200"),
        ("?continuation=nonsense", 400, "continuation"),
    ],
)
async def test_a_wrong_request_is_answered_with_its_problem(cloud: Cloud, path: str, status: int, detail: str) -> None:
    answer = await cloud.promotions.request(path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert detail in problem["detail"]


@pytest.mark.parametrize("path", ["", "/no-such-promotion"])
async def test_a_request_without_the_key_is_refused(cloud: Cloud, path: str) -> None:
    answer = await cloud.promotions.request(path, key="")
    assert answer.status == 401
    assert "promotion" not in answer.text


# --- what can be seen ------------------------------------------------------------------------------------------------


async def logged(cloud: Cloud, text: str) -> bool:
    """Whether the app's log has this in it."""
    return text in (cloud.parts.layout.data / "logs" / "functions.log").read_text()


async def newest(cloud: Cloud, version: str) -> Mapping[str, Any] | None:
    """The ended promotion of a version that no other model has."""
    answer = await cloud.promotions.request("?status=failed&top=200")
    found = [each for each in answer.json()["value"] if each["version"] == version]
    return found[0] if found else None
