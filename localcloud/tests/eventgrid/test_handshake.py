"""An endpoint gets nothing before it has shown that it wants the events, however late it comes up."""

from typing import TYPE_CHECKING

import aiohttp
import pytest
from azure.eventgrid import EventGridEvent

from localcloud.http_server import bind, port_of

if TYPE_CHECKING:
    from localcloud.testing.eventgrid import EventGrid, Webhook
    from tests.eventgrid.conftest import Until

EVENT = EventGridEvent("models/churn:1", "Microsoft.MachineLearningServices.ModelRegistered", {}, "1")


@pytest.mark.parametrize("schema", ["EventGrid", "CloudEvents"])
async def test_an_endpoint_that_comes_up_late_is_validated_first_and_then_gets_the_events(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until", schema: str
) -> None:
    with bind(0) as free:
        port = port_of(free)
    eventgrid.configure(f"http://127.0.0.1:{port}/hook", schema=schema)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    async with webhook.listening(port):
        await until(lambda: webhook.deliveries)
    assert len(webhook.validations) == 1
    assert webhook.deliveries[0][0]["aeg-delivery-count"] == "0"


@pytest.mark.parametrize("schema", ["EventGrid", "CloudEvents"])
async def test_an_endpoint_that_refuses_the_handshake_gets_no_event(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until", schema: str
) -> None:
    webhook.answer_handshake = False
    eventgrid.configure(webhook.address, schema=schema)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    await until(lambda: len(webhook.validations) >= 3)
    assert not webhook.deliveries
    webhook.answer_handshake = True
    await until(lambda: webhook.deliveries)


async def test_calling_the_validation_url_completes_the_handshake(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    webhook.answer_handshake = False
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    await until(lambda: webhook.manual)
    async with aiohttp.ClientSession() as session:
        async with session.get(webhook.manual[0].rpartition("=")[0] + "=guessed") as answer:
            assert answer.status == 404
        async with session.get(webhook.manual[0]) as answer:
            assert answer.status == 200
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    await until(lambda: webhook.deliveries)
