"""One app per environment: a coordinator, and three workers with an identity each that may do its own work only.

The rights on the queues, in the workspaces and in the registry are those that infra/ gives (tests/infra compares them).
They are two fences: the tests that remove the first one, with a key that no worker has, test the second.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthorizationError

from examples.demo.promotions import Promotion
from localcloud.up import Description
from shared.core.message_bodies import encode
from shared.core.messages import (
    RECONCILE,
    Failed,
    FailureKind,
    LaneKey,
    ModelRegistered,
    Running,
    StepReported,
    Succeeded,
)
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import DEADLINE, until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.promoting import failure, running_steps
from tests.e2e.queue_rights import NAMES, QUEUES, SHARED_ACCESS
from tests.e2e.worker_apps import WorkerApps

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def description() -> Description:
    """The coordinator's identities are unknown: it uses none of an environment."""
    people = {"alice": {"roles": [OPERATOR]}}
    described = describe("tests/e2e/apart/promotion.yml", *NAMES, shared_access=SHARED_ACCESS, people=people)
    assert described.app is not None
    unknown = {f"{name.upper()}_IDENTITY": "00000000-0000-0000-0000-000000000000" for name in NAMES}
    own = {"MLPROMOTE_ROLES": "coordinator", "ServiceBus": "{servicebus_connection_coordinator}"}
    settings = described.app.settings | unknown | own
    return described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(cloud: Cloud) -> AsyncIterator[WorkerApps]:
    apps = WorkerApps(cloud.parts, cloud.parts.layout.data / "workers")
    try:
        await asyncio.gather(*(apps.start(name, environment=name, identity=name) for name in NAMES))
        yield apps
    finally:
        await apps.stop_all()


@pytest_asyncio.fixture(loop_scope="module")
async def prod_is_down(workers: WorkerApps) -> AsyncIterator[None]:
    """The worker of prod is stopped during a test, and runs again afterwards."""
    await workers.stop("prod")
    yield
    await workers.start("prod", environment="prod", identity="prod")


async def test_a_promotion_goes_through_all_apps(cloud: Cloud, workers: WorkerApps) -> None:
    await cloud.azure.register("apart-together", "1")
    await cloud.promotions.succeeded("apart-together")
    assert await cloud.azure.only_deployment("test", "apart-together-test") == "1"
    assert await cloud.azure.only_deployment("prod", "apart-together") == "1"


async def test_a_worker_has_no_other_environments_worker_and_nothing_of_the_coordinator(workers: WorkerApps) -> None:
    assert await workers.functions("prod") == {"work_prod", "show_health"}


@pytest.mark.parametrize("queue", [each for each in QUEUES if each != "reports-test"])
async def test_a_worker_can_send_only_to_its_own_report_queue(cloud: Cloud, queue: str) -> None:
    async with ServiceBusClient.from_connection_string(key_of(cloud, "test"), retry_total=0) as client:
        with pytest.raises(ServiceBusAuthorizationError, match=f"'Send' claim.*'{queue}'"):
            async with client.get_queue_sender(queue) as sender:
                await sender.send_messages(ServiceBusMessage("forged"))


@pytest.mark.parametrize("queue", [each for each in QUEUES if each != "steps-test"])
async def test_a_worker_cannot_read_what_is_for_others(cloud: Cloud, queue: str) -> None:
    async with ServiceBusClient.from_connection_string(key_of(cloud, "test"), retry_total=0) as client:
        with pytest.raises(ServiceBusAuthorizationError, match=f"'Listen' claim.*'{queue}'"):
            async with client.get_queue_receiver(queue) as receiver:
                await receiver.peek_messages()


async def test_a_worker_of_test_that_is_made_to_listen_for_prod_gets_nothing(cloud: Cloud, workers: WorkerApps) -> None:
    await workers.stop("prod")
    await cloud.azure.register("apart-listening", "1")
    await at_prod(cloud, "apart-listening")
    await workers.start("listening", environment="prod", identity="test")
    try:
        await until(lambda: was_refused(workers, "listening"), "the queue of prod has refused it")
    finally:
        await workers.stop("listening")
        await workers.start("prod", environment="prod", identity="prod")
    await cloud.promotions.succeeded("apart-listening")


async def test_what_the_worker_of_test_reports_of_a_step_of_prod_changes_nothing(
    cloud: Cloud, workers: WorkerApps
) -> None:
    await workers.stop("prod")
    try:
        await cloud.azure.register("apart-spoken-for", "1")
        before = await at_prod(cloud, "apart-spoken-for")
        forged = list(forged_reports(before))
        for body, message_id in forged:
            await send_as_test(cloud, body, message_id)
        ignored = "validate in prod is a step of prod, but the report came from test"
        await until(lambda: logged(cloud, ignored, len(forged)), "all are ignored")
        assert await cloud.promotions.find("apart-spoken-for", "1") == before
        await nothing_is_in_prod(cloud, "apart-spoken-for")
    finally:
        await workers.start("prod", environment="prod", identity="prod")
    # Nor did they block what the worker of prod reports under the same message ids.
    await cloud.promotions.succeeded("apart-spoken-for")


async def test_a_model_that_the_worker_of_test_reports_from_the_workspace_of_dev_is_refused(cloud: Cloud) -> None:
    news = ModelRegistered(cloud.parts.layout.workspace_ids["dev"], "apart-made-up", "1", {}, RECONCILE)
    await send_as_test(cloud, encode(news), news.message_id)
    why = await dead_letter(cloud, "reports-test")
    assert "the worker of test reported a model in " in why
    assert await cloud.promotions.all_of("apart-made-up") == []


@pytest.mark.usefixtures("prod_is_down")
async def test_a_forged_command_in_the_wrong_queue_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    await cloud.azure.register("apart-forged", "1")
    before = await at_prod(cloud, "apart-forged")
    await forge(cloud, "apart-forged", from_queue="steps-prod", to_queue="steps-test")
    why = await dead_letter(cloud, "steps-test")
    assert "the command is for the worker of prod, and the worker of test refuses it" in why
    assert await cloud.promotions.find("apart-forged", "1") == before
    await nothing_is_in_prod(cloud, "apart-forged")


@pytest.mark.usefixtures("prod_is_down")
async def test_a_worker_of_test_that_is_made_to_touch_prod_gets_403_and_changes_nothing(
    cloud: Cloud, workers: WorkerApps
) -> None:
    await cloud.azure.register("apart-taken-over", "1")
    await at_prod(cloud, "apart-taken-over")
    await workers.start("taken-over", environment="prod", identity="test", queue_key="prod")
    try:
        promotion = await cloud.promotions.failed("apart-taken-over")
    finally:
        await workers.stop("taken-over")
    found = failure(promotion)
    assert found["kind"] == "permission"
    assert "does not have authorization" in found["reason"]
    assert "Give the identity the role that allows it." in found["reason"]
    await nothing_is_in_prod(cloud, "apart-taken-over")
    refused = [call for call in await cloud.azure.calls("GET", "*/workspaces/ws-prod*") if call["status"] == 403]
    assert refused


@pytest.mark.usefixtures("workers")
async def test_a_version_squatted_in_the_registry_before_share_is_never_deployed(cloud: Cloud) -> None:
    """Somebody who may write to the registry has put another model there, under the name and version of the
    candidate."""
    await cloud.azure.register("evil", "1")
    registry = cloud.parts.addresses["registry"]
    squat = partial(cloud.azure.dev.models.share, "evil", "1", registry_name=registry)
    await asyncio.to_thread(squat, share_with_name="apart-squatted", share_with_version="1")
    await cloud.azure.register("apart-squatted", "1")
    promotion = await cloud.promotions.failed("apart-squatted")
    found = failure(promotion)
    assert found["kind"] == "conflict"
    assert "The registry has another model apart-squatted" in found["reason"]
    assert await cloud.azure.deployments("test", "apart-squatted-test") == {}
    await nothing_is_in_prod(cloud, "apart-squatted")


@pytest.mark.usefixtures("workers")
async def test_a_deployment_deleted_by_hand_on_the_way_back_is_made_again_before_it_gets_the_traffic(
    cloud: Cloud,
) -> None:
    model = "apart-kept"
    await cloud.azure.register(model, "1")
    await cloud.promotions.succeeded(model)
    await cloud.azure.register(model, "2")
    second = await cloud.promotions.succeeded(model, "2")
    # The champion's deployment comes back, and the traffic cannot be moved to it for a while.
    busy = await cloud.azure.fault("busy", "PUT", f"*/onlineEndpoints/{model}", count=1000)
    await cloud.promotions.accepted(second["id"], "roll-back", reason="wrong answers", stage="prod")
    champion = await until(lambda: ready_deployment_of(cloud, model, "1"), "version 1 is deployed again")
    await until(lambda: is_under_way(cloud, model, "restore"), "restore has begun")
    await cloud.azure.call("DELETE", deployment_path(cloud, model, champion))
    await cloud.azure.call("DELETE", f"/local/faults/{busy}")
    # Its pauses have grown meanwhile.
    await until(lambda: was_hurried(cloud, second["id"]), "restore is polled now")

    async def came_back() -> bool:
        found = await cloud.promotions.find(model, "2")
        return found is not None and found["status"] == "rolled-back"

    await until(came_back, "the rollback has come to its end")
    assert await cloud.azure.only_deployment("prod", model) == "1"
    assert await cloud.azure.answer("prod", model, {"x": 1})


def deployment_path(cloud: Cloud, endpoint: str, name: str) -> str:
    return f"{cloud.parts.addresses['workspaces']['prod']}/onlineEndpoints/{endpoint}/deployments/{name}"


async def ready_deployment_of(cloud: Cloud, model: str, version: str) -> str | None:
    """The name of prod's deployment of a version, once it is ready."""
    for name, found in (await cloud.azure.deployments("prod", model)).items():
        deployment = await cloud.azure.call("GET", deployment_path(cloud, model, name))
        if found == version and deployment and deployment["properties"]["provisioningState"] == "Succeeded":
            return name
    return None


async def is_under_way(cloud: Cloud, model: str, step: str) -> bool:
    promotion = await cloud.promotions.find(model, "2")
    return promotion is not None and step in running_steps(promotion)


async def was_hurried(cloud: Cloud, promotion: str) -> bool:
    """Whether a paused step is polled at once; not while a poll is under way."""
    return (await cloud.promotions.ask(promotion, "retry", reason="it is free again")).status == 202


def key_of(cloud: Cloud, name: str) -> str:
    """The connection string that an environment's worker has."""
    return cloud.parts.layout.connection_strings[f"worker-{name}"]


async def was_refused(workers: WorkerApps, app: str) -> bool:
    return "'Listen' claim(s) are required" in workers.log(app)


async def logged(cloud: Cloud, text: str, times: int) -> bool:
    """Whether the coordinator's log has this in it so many times."""
    return (cloud.parts.layout.data / "logs" / "functions.log").read_text().count(text) == times


def forged_reports(promotion: Promotion) -> Iterator[tuple[bytes, str]]:
    """Reports that somebody can forge about the current step of prod, each with its message id. Everything in them can
    be known, since ids follow from names. One body names an environment."""
    outcomes = Succeeded({"forged": True}), Failed("forged", FailureKind.BUG), Running(timedelta(0), "forged")
    for outcome in outcomes:
        report = StepReported(LaneKey("apart", promotion["model"]), promotion["id"], "prod", "validate", 1, 1, outcome)
        document = json.loads(encode(report))
        said = {**document, "environment": "prod", "content": document["content"] | {"environment": "prod"}}
        yield encode(report), report.message_id if outcome is outcomes[0] else str(uuid.uuid4())
        yield json.dumps(said).encode(), str(uuid.uuid4())


async def send_as_test(cloud: Cloud, body: bytes, message_id: str) -> None:
    """Send with the key of test's worker to the only queue that accepts it."""
    async with (
        ServiceBusClient.from_connection_string(key_of(cloud, "test")) as client,
        client.get_queue_sender("reports-test") as sender,
    ):
        await sender.send_messages(ServiceBusMessage(body, message_id=message_id))


async def dead_letter(cloud: Cloud, queue: str) -> str:
    """Why the only dead letter of a queue should not be replayed, once it is there."""
    url = f"{cloud.parts.addresses['functions']['url']}/api/failures?queue={queue}"
    headers = {"x-functions-key": cloud.parts.addresses["functions"]["keys"]["default"]}

    async def look() -> list[Mapping[str, Any]]:
        async with cloud.http.get(url, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return [each for each in (await answer.json())["value"] if each["what"] == "dead-letter"]

    (found,) = await until(look, f"a dead letter in {queue}")
    assert found["replay"]["safe"] is False
    return str(found["replay"]["why"])


async def at_prod(cloud: Cloud, model: str) -> Promotion:
    """A promotion, once its next step is one for the worker of prod."""

    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, "1")
        return found if found and found["stages"] and running_in_prod(found) else None

    return await until(look, f"{model} waits for the worker of prod")


def running_in_prod(promotion: Promotion) -> bool:
    (stage,) = [each for each in promotion["stages"] if each["name"] == "prod"]
    return any(step["environment"] == "prod" and step["status"] == "running" for step in stage["steps"])


async def forge(cloud: Cloud, model: str, from_queue: str, to_queue: str) -> None:
    """Copy the command for a model's promotion into another queue, and remove the real one."""
    connection = cloud.parts.layout.connection_string
    async with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_receiver(from_queue) as receiver,
        client.get_queue_sender(to_queue) as sender,
    ):
        (command,) = await receiver.receive_messages(1, max_wait_time=DEADLINE)
        body = b"".join(command.body)
        assert model.encode() in body
        await sender.send_messages(ServiceBusMessage(body, message_id=str(uuid.uuid4()), subject=command.subject))
        await receiver.complete_message(command)


async def nothing_is_in_prod(cloud: Cloud, endpoint: str) -> None:
    assert await cloud.azure.traffic("prod", endpoint) is None
    assert await cloud.azure.deployments("prod", endpoint) == {}
