"""What the SDK's publisher sends arrives at the webhook, in the schema of the subscription."""

import asyncio
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

if TYPE_CHECKING:
    from localcloud.testing.eventgrid import EventGrid, Webhook
    from tests.eventgrid.conftest import Until

TOPIC_KEY = "YS1rZXktZm9yLXRlc3Rz"
MODEL_REGISTERED = "Microsoft.MachineLearningServices.ModelRegistered"
RUN_COMPLETED = "Microsoft.MachineLearningServices.RunCompleted"


def model_registered(name: str = "churn", **data: Any) -> EventGridEvent:
    return EventGridEvent(f"models/{name}:1", MODEL_REGISTERED, {"modelName": name, **data}, "", topic="")


async def test_an_event_grid_event_arrives_with_the_topics_source(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(model_registered())
    await until(lambda: webhook.deliveries)
    headers, body = webhook.deliveries[0]
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "INTAKE"
    assert headers["aeg-delivery-count"] == "0"
    (event,) = body
    assert event["topic"] == "/workspaces/ws-dev"
    assert event["eventType"] == MODEL_REGISTERED
    assert event["subject"] == "models/churn:1"
    assert event["data"] == {"modelName": "churn"}
    assert event["metadataVersion"] == "1"
    assert event["dataVersion"] == ""


async def test_a_cloud_event_arrives_unchanged_at_a_subscription_of_cloud_events(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address, schema="CloudEvents")
    await eventgrid.start()
    sent = CloudEvent(
        "/workspaces/ws-dev", RUN_COMPLETED, data={"runId": "r 1"}, subject="runs/r", extensions={"a": "b"}
    )
    async with eventgrid.publisher() as publisher:
        await publisher.send(sent)
    await until(lambda: webhook.deliveries)
    headers, event = webhook.deliveries[0]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert event == {
        "specversion": "1.0",
        "id": sent.id,
        "source": "/workspaces/ws-dev",
        "type": RUN_COMPLETED,
        "subject": "runs/r",
        "time": event["time"],
        "data": {"runId": "r 1"},
        "a": "b",
    }
    assert CloudEvent.from_dict(event).time == sent.time


async def test_an_event_grid_event_is_turned_into_a_cloud_event(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address, schema="CloudEvents")
    await eventgrid.start()
    sent = model_registered()
    async with eventgrid.publisher() as publisher:
        await publisher.send(sent)
    await until(lambda: webhook.events)
    event: CloudEvent[Any] = CloudEvent.from_dict(webhook.events[0])
    assert (event.id, event.type, event.subject) == (str(sent.id), sent.event_type, sent.subject)
    assert event.source == "/workspaces/ws-dev"
    assert event.data == sent.data
    assert event.time == datetime.fromisoformat(str(sent.event_time))


async def test_a_cloud_event_is_turned_into_an_event_grid_event(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    sent = CloudEvent("/workspaces/ws-dev", RUN_COMPLETED, data={"runId": "r"}, subject="runs/r")
    async with eventgrid.publisher() as publisher:
        await publisher.send([sent])
    await until(lambda: webhook.events)
    event = EventGridEvent.from_dict(webhook.events[0])
    assert (event.id, event.event_type, event.subject, event.topic) == (sent.id, sent.type, "runs/r", sent.source)
    assert event.data == sent.data


async def test_only_events_that_pass_the_filters_are_delivered(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(
        webhook.address,
        included_event_types=[MODEL_REGISTERED],
        subject_begins_with="MODELS/churn",
        subject_ends_with=":1",
    )
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(
            [
                EventGridEvent("models/churn-us:1", RUN_COMPLETED, {}, "1"),
                EventGridEvent("models/fraud:1", MODEL_REGISTERED, {}, "1"),
                EventGridEvent("models/churn-us:2", MODEL_REGISTERED, {}, "1"),
                EventGridEvent("models/churn-eu:1", MODEL_REGISTERED, {}, "1"),
            ]
        )
        await publisher.send(EventGridEvent("models/churn-last:1", MODEL_REGISTERED, {}, "1"))
    await until(lambda: len(webhook.events) == 2)
    assert sorted(event["subject"] for event in webhook.events) == ["models/churn-eu:1", "models/churn-last:1"]


@pytest.mark.parametrize(("largest_batch", "requests"), [(1, 5), (10, 1)])
async def test_a_request_carries_as_many_events_as_the_batch_size_allows(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until", largest_batch: int, requests: int
) -> None:
    eventgrid.configure(webhook.address, max_events_per_batch=largest_batch)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send([model_registered(f"m{number}") for number in range(5)])
    await until(lambda: len(webhook.events) == 5)
    assert len(webhook.deliveries) == requests


async def test_a_wrong_key_and_an_unknown_topic_are_refused(eventgrid: "EventGrid", webhook: "Webhook") -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    async with eventgrid.publisher(key="wrong") as publisher:
        with pytest.raises(ClientAuthenticationError, match="aeg-sas-key"):
            await publisher.send(model_registered())
    async with eventgrid.publisher(topic="nowhere") as publisher:
        with pytest.raises(ResourceNotFoundError):
            await publisher.send(model_registered())


async def test_a_request_over_one_megabyte_is_refused_and_one_just_under_it_arrives(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    publisher = EventGridPublisherClient(eventgrid.topic, AzureKeyCredential(TOPIC_KEY))
    with publisher:
        with pytest.raises(HttpResponseError) as refusal:
            await asyncio.to_thread(publisher.send, model_registered(text="x" * 1024 * 1024))
        assert refusal.value.status_code == 413
        await asyncio.to_thread(publisher.send, model_registered(text="x" * 1024 * 1023))
    await until(lambda: len(webhook.events) == 1)


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ({"id": "1"}, "array"),
        ([{"id": "1", "eventType": "T", "eventTime": "2026-01-01T00:00:00Z"}], "Event 0 .*subject"),
        ([{"id": "1", "eventType": "T", "subject": "s", "eventTime": "yesterday"}], "Event 0 .*'yesterday'"),
        (["text"], "Event 0 is not a JSON object"),
    ],
)
async def test_events_that_break_the_schema_are_refused_with_the_reason(
    eventgrid: "EventGrid", webhook: "Webhook", events: Any, fault: str
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    async with (
        aiohttp.ClientSession(headers={"aeg-sas-key": TOPIC_KEY}) as session,
        session.post(eventgrid.topic, json=events) as answer,
    ):
        assert answer.status == 400
        assert re.search(fault, (await answer.json())["error"]["message"])


async def test_a_request_that_is_nested_too_deeply_is_refused(eventgrid: "EventGrid", webhook: "Webhook") -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    content = "[" * 100_000 + "]" * 100_000
    async with (
        aiohttp.ClientSession(headers={"aeg-sas-key": TOPIC_KEY}) as session,
        session.post(eventgrid.topic, data=content) as answer,
    ):
        assert answer.status == 400


async def test_a_systems_topic_refuses_events_of_another_resource(eventgrid: "EventGrid", webhook: "Webhook") -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    other = EventGridEvent("models/m:1", MODEL_REGISTERED, {}, "", topic="/workspaces/ws-prod")
    async with eventgrid.publisher() as publisher:
        with pytest.raises(HttpResponseError, match="this topic belongs to /workspaces/ws-dev") as refused:
            await publisher.send(other)
        assert refused.value.status_code == 400
        with pytest.raises(HttpResponseError, match="this topic belongs to /workspaces/ws-dev"):
            await publisher.send(CloudEvent("/workspaces/ws-prod", MODEL_REGISTERED))
        await publisher.send(CloudEvent("/Workspaces/WS-dev", MODEL_REGISTERED))


async def test_a_cloud_event_with_both_forms_of_data_is_refused(eventgrid: "EventGrid", webhook: "Webhook") -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    both = {
        "specversion": "1.0",
        "id": "1",
        "source": "/workspaces/ws-dev",
        "type": "t",
        "data": 1,
        "data_base64": "MQ==",
    }
    async with eventgrid.publisher() as publisher:
        with pytest.raises(HttpResponseError, match="data and data_base64") as refused:
            await publisher.send(both)
    assert refused.value.status_code == 400
