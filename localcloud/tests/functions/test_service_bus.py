"""Service Bus triggers and outputs of a running host, against a real broker process, through the real SDK."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from tests.functions.conftest import RunningBroker, RunningHost, StartHost, until


@pytest.fixture
async def client(broker: RunningBroker) -> AsyncIterator[ServiceBusClient]:
    async with ServiceBusClient.from_connection_string(broker.connection_string) as client:
        yield client


@pytest.fixture
async def host(start_host: StartHost, broker: RunningBroker) -> RunningHost:
    return await start_host(BUS=broker.connection_string)


async def send(client: ServiceBusClient, queue: str, *messages: Any) -> None:
    async with client.get_queue_sender(queue) as sender:
        for one in messages:
            await sender.send_messages(one if isinstance(one, ServiceBusMessage) else ServiceBusMessage(one))


async def receive(client: ServiceBusClient, queue: str, count: int, **options: Any) -> list[Any]:
    """That many messages of the queue, completed."""
    received: list[Any] = []
    async with client.get_queue_receiver(queue, **options) as receiver, asyncio.timeout(300):
        while len(received) < count:
            for message in await receiver.receive_messages(count, max_wait_time=1):
                await receiver.complete_message(message)
                received.append(message)
    return received


async def is_empty(client: ServiceBusClient, queue: str) -> bool:
    async with client.get_queue_receiver(queue) as receiver:
        return not await receiver.peek_messages()


async def until_empty(client: ServiceBusClient, queue: str) -> None:
    async with asyncio.timeout(300):
        while not await is_empty(client, queue):  # noqa: ASYNC110 - another process empties it
            await asyncio.sleep(0.02)


async def test_message_arrives_with_the_metadata_that_azure_gives(client: ServiceBusClient, host: RunningHost) -> None:
    message = ServiceBusMessage(
        b"hello",
        message_id="m1",
        correlation_id="c1",
        subject="a subject",
        content_type="text/plain",
        application_properties={"number": 7},
    )
    await send(client, "single", message)
    (seen,) = await until(lambda: host.seen("single"))
    assert seen["body"] == "hello"
    assert (seen["message_id"], seen["correlation_id"], seen["content_type"]) == ("m1", "c1", "text/plain")
    assert seen["subject"] == seen["label"] == "a subject"
    assert seen["application_properties"] == {"number": 7}
    assert (seen["delivery_count"], seen["sequence_number"]) == (1, 1)
    assert not seen["enqueued_time_utc"].endswith("+00:00")
    assert seen["to"] is seen["reply_to"] is seen["session_id"] is None
    assert seen["time_to_live"] is seen["scheduled_enqueue_time_utc"] is seen["locked_until"] is None
    assert seen["metadata"] == [
        "ApplicationProperties",
        "ContentType",
        "CorrelationId",
        "DeliveryCount",
        "EnqueuedTime",
        "EnqueuedTimeUtc",
        "ExpiresAt",
        "ExpiresAtUtc",
        "Label",
        "LockToken",
        "MessageId",
        "SequenceNumber",
        "Subject",
        "UserProperties",
    ]
    await until_empty(client, "single")


async def test_fields_of_a_json_body_overwrite_metadata(client: ServiceBusClient, host: RunningHost) -> None:
    body = {"messageID": "of the body", "correlationId": None, "subject": ["a list"], "other": {"a": 1}}
    await send(client, "single", ServiceBusMessage(json.dumps(body), message_id="m1", subject="s", correlation_id="c"))
    (seen,) = await until(lambda: host.seen("single"))
    assert (seen["message_id"], seen["subject"], seen["correlation_id"]) == ("of the body", "s", "c")
    assert "other" in seen["metadata"]


@pytest.mark.parametrize("body", [b'{"messageId": "of the body", "other": 1}', b"\xff\xfe"])
async def test_a_trigger_of_bytes_takes_any_body_and_keeps_the_metadata(
    client: ServiceBusClient, host: RunningHost, body: bytes
) -> None:
    await send(client, "raw", ServiceBusMessage(body, message_id="m1"))
    (seen,) = await until(lambda: host.seen("raw"))
    assert (seen["body"], seen["message_id"]) == (body.hex(), "m1")
    assert "other" not in seen["metadata"]


async def test_failing_message_is_tried_again_at_once_and_then_dead_lettered(
    client: ServiceBusClient, host: RunningHost
) -> None:
    await send(client, "single", "boom")
    (dead,) = await receive(client, "single", 1, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    assert b"".join(dead.body) == b"boom"
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert [one["delivery_count"] for one in host.seen("single")] == [1, 2, 3]


async def test_message_that_is_no_text_is_dead_lettered_untouched(client: ServiceBusClient, host: RunningHost) -> None:
    await send(client, "single", b"\xff\xfe")
    (dead,) = await receive(client, "single", 1, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    assert b"".join(dead.body) == b"\xff\xfe"
    assert host.seen("single") == []


async def test_lock_is_renewed_while_the_function_runs(client: ServiceBusClient, host: RunningHost) -> None:
    # The queue locks for five seconds.
    await send(client, "single", json.dumps({"wait": 8}))
    await until(lambda: len(host.seen("single")) == 2)
    await until_empty(client, "single")
    assert [one["body"] for one in host.seen("single")][1:] == ["waited"]


async def test_as_many_messages_run_at_once_as_host_json_allows(
    client: ServiceBusClient, host: RunningHost, tmp_path: Path
) -> None:
    may_end = tmp_path / "may-end"
    await send(client, "single", *[json.dumps({"until": str(may_end), "number": number}) for number in range(6)])
    await until(lambda: len(host.seen("single")) == 4)
    may_end.touch()
    await until(lambda: len([one for one in host.seen("single") if one["body"] == "waited"]) == 6)
    bodies = [one["body"] for one in host.seen("single")]
    assert bodies.index("waited") == 4


async def test_every_message_of_a_burst_is_handled_once(client: ServiceBusClient, host: RunningHost) -> None:
    async with client.get_queue_sender("single") as sender:
        await sender.send_messages([ServiceBusMessage(f"message {number}") for number in range(300)])
    await until(lambda: len(host.seen("single")) >= 300)
    await until_empty(client, "single")
    assert sorted(one["body"] for one in host.seen("single")) == sorted(f"message {number}" for number in range(300))


async def test_function_for_many_gets_a_batch(client: ServiceBusClient, host: RunningHost) -> None:
    async with client.get_queue_sender("many") as sender:
        await sender.send_messages([ServiceBusMessage(f"b{number}", message_id=f"i{number}") for number in range(5)])
    await until(lambda: sum(len(one["bodies"]) for one in host.seen("many")) == 5)
    assert [name for one in host.seen("many") for name in one["ids"]] == [f"i{number}" for number in range(5)]
    assert len(host.seen("many")) < 5
    await until_empty(client, "many")


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        ("plain", ["plain"]),
        ({"a": 1}, ['{\n  "a": 1\n}']),
        ('{"a":1}', ['{\n  "a": 1\n}']),
        (["x", {"b": 2}, 3, True], ["x", '{\n  "b": 2\n}', "3", "True"]),
        ('["x", "y"]', ["x", "y"]),
    ],
)
async def test_output_becomes_messages(
    client: ServiceBusClient, host: RunningHost, value: object, bodies: list[str]
) -> None:
    assert (await host.call("POST", "/api/send", json={"value": value}))[0] == 202
    received = await receive(client, "results", len(bodies))
    assert [b"".join(one.body).decode() for one in received] == bodies


async def test_output_that_cannot_be_sent_fails_the_function(start_host: StartHost, broker: RunningBroker) -> None:
    host = await start_host(BUS=broker.connection_string, OUTPUT_QUEUE="nowhere")
    assert (await host.call("POST", "/api/send", json={"value": "x"}))[0] == 500
    await until(lambda: "The output 'out' could not be sent" in host.log.read_text())


async def test_pump_survives_a_broker_that_is_killed(
    client: ServiceBusClient, host: RunningHost, broker: RunningBroker
) -> None:
    await send(client, "single", "before")
    await until(lambda: host.seen("single"))
    await until_empty(client, "single")
    await broker.kill()
    await until(lambda: "'single': single cannot be reached" in host.log.read_text())
    await broker.start()
    async with ServiceBusClient.from_connection_string(broker.connection_string) as again:
        await send(again, "single", "after")
        await until(lambda: [one for one in host.seen("single") if one["body"] == "after"])
        await until_empty(again, "single")
    assert host.log.read_text().count("'single': single cannot be reached") == 1


async def test_missing_queue_is_said_once_and_stops_nothing_else(
    client: ServiceBusClient, start_host: StartHost, broker: RunningBroker
) -> None:
    host = await start_host(BUS=broker.connection_string, SINGLE_QUEUE="nowhere")
    await until(lambda: "nowhere does not exist" in host.log.read_text())
    await send(client, "many", "x")
    await until(lambda: host.seen("many"))
    assert await host.process.stop(15) == 0
    assert host.log.read_text().count("nowhere does not exist") == 1


async def test_stop_completes_what_runs_and_takes_nothing_new(client: ServiceBusClient, host: RunningHost) -> None:
    await send(client, "single", json.dumps({"wait": 1}))
    await until(lambda: host.seen("single"))
    stopping = asyncio.ensure_future(host.process.stop(15))
    assert await stopping == 0
    assert [one["body"] for one in host.seen("single")][1:] == ["waited"]
    assert await is_empty(client, "single")


BATCHES_OF_FIVE = """
import json, os, typing
import azure.functions as func
app = func.FunctionApp()

@app.service_bus_queue_trigger(arg_name="messages", queue_name="many", connection="BUS", cardinality="many")
def batches(messages: typing.List[func.ServiceBusMessage]) -> None:
    seen = {"function": "batches", "deliveries": [message.delivery_count for message in messages]}
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(seen) + chr(10))
"""


async def test_what_was_prefetched_beyond_a_batch_is_handed_on_at_once(
    client: ServiceBusClient, broker: RunningBroker, start_host: StartHost, tmp_path: Path
) -> None:
    """The queue locks for half a minute: what waits longer than this test's deadline is seen by its count."""
    app = tmp_path / "app"
    app.mkdir()
    limits = {"prefetchCount": 20, "maxMessageBatchSize": 5}
    (app / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"serviceBus": limits}}))
    (app / "function_app.py").write_text(BATCHES_OF_FIVE)
    async with client.get_queue_sender("many") as sender:
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(7)])
    host = await start_host(app=app, BUS=broker.connection_string)
    await until(lambda: sum(len(one["deliveries"]) for one in host.seen("batches")) == 7)
    assert [one["deliveries"] for one in host.seen("batches")] == [[1] * 5, [1] * 2]


SLEEPS = """
import json, os, time
import azure.functions as func
app = func.FunctionApp()

def see(what):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps({"function": "sleeps", "what": what}) + chr(10))

@app.service_bus_queue_trigger(arg_name="message", queue_name="many", connection="BUS")
def sleeps(message: func.ServiceBusMessage) -> None:
    see("begun")
    asked = message.get_body().decode()
    if asked.startswith("/"):
        while not os.path.exists(asked):
            time.sleep(0.05)
    else:
        time.sleep(float(asked))
    see("ended")
"""


def sleeping_app(folder: Path, **host: Any) -> Path:
    app = folder / "app"
    app.mkdir()
    (app / "host.json").write_text(json.dumps({"version": "2.0", **host}))
    (app / "function_app.py").write_text(SLEEPS)
    return app


async def test_function_past_its_time_limit_gives_its_message_back(
    client: ServiceBusClient, broker: RunningBroker, start_host: StartHost, tmp_path: Path
) -> None:
    host = await start_host(app=sleeping_app(tmp_path, functionTimeout="00:00:01"), BUS=broker.connection_string)
    await send(client, "many", "600")
    (dead,) = await receive(client, "many", 1, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert [one["what"] for one in host.seen("sleeps")] == ["begun"] * 3
    assert "'sleeps' failed: Timeout of 1 s exceeded (functionTimeout)." in host.log.read_text()
    await send(client, "many", "0")
    await until(lambda: host.seen("sleeps")[-1]["what"] == "ended")


async def test_functions_that_are_not_async_share_the_threads_there_are(
    client: ServiceBusClient, broker: RunningBroker, start_host: StartHost, tmp_path: Path
) -> None:
    settings = {"BUS": broker.connection_string, "PYTHON_THREADPOOL_THREAD_COUNT": "1"}
    host = await start_host(app=sleeping_app(tmp_path), **settings)
    await send(client, "many", "0.3", "0.3", "0.3")
    await until(lambda: len(host.seen("sleeps")) == 6)
    assert [one["what"] for one in host.seen("sleeps")] == ["begun", "ended"] * 3


async def test_the_calls_of_a_function_share_what_it_prefetches(
    client: ServiceBusClient, broker: RunningBroker, start_host: StartHost, tmp_path: Path
) -> None:
    limits = {"prefetchCount": 2, "maxConcurrentCalls": 1}
    app = sleeping_app(tmp_path, extensions={"serviceBus": limits})
    host = await start_host(app=app, BUS=broker.connection_string)
    may_end = tmp_path / "may-end"
    await send(client, "many", str(may_end), "0", "0", "from another")
    await until(lambda: host.seen("sleeps"))
    async with client.get_queue_receiver("many") as other:  # the two before are locked
        (message,) = await other.receive_messages(1, max_wait_time=300)
        assert str(message) == "from another"
        assert [one["what"] for one in host.seen("sleeps")] == ["begun"]
        await other.complete_message(message)
    may_end.touch()
    await until(lambda: len(host.seen("sleeps")) == 6)
    await until_empty(client, "many")
