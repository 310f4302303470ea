"""Events that fail are tried again with growing pauses, given up by rule, and never lost by a crash."""

from typing import TYPE_CHECKING

import pytest
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent

from localcloud.eventgrid.configuration import AZURE_RETRY_PAUSES
from localcloud.eventgrid.retries import pause_after

if TYPE_CHECKING:
    from localcloud.testing.eventgrid import EventGrid, Webhook
    from tests.eventgrid.conftest import Until

EVENT = EventGridEvent("models/churn:1", "Microsoft.MachineLearningServices.ModelRegistered", {"a": 1}, "1")


async def test_a_failed_delivery_is_tried_again_until_it_succeeds(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    webhook.status = lambda request: 500 if request < 3 else 202
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    await until(lambda: len(webhook.deliveries) == 3)
    assert [headers["aeg-delivery-count"] for headers, _ in webhook.deliveries] == ["0", "1", "2"]
    assert {event["id"] for event in webhook.events} == {str(EVENT.id)}
    assert await eventgrid.stop() == 0
    assert eventgrid.dead_letters == []


async def test_an_event_is_dead_lettered_when_its_attempts_are_used_up(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    webhook.status = lambda _: 404
    eventgrid.configure(webhook.address, max_delivery_attempts=3)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    await until(lambda: eventgrid.dead_letters)
    (letter,) = eventgrid.dead_letters
    assert len(webhook.deliveries) == 3
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["deliveryAttempts"] == 3
    assert (letter["lastDeliveryOutcome"], letter["lastHttpStatusCode"]) == ("NotFound", 404)
    assert letter["publishTime"] < letter["lastDeliveryAttemptTime"]
    assert {name: letter[name] for name in ("id", "subject", "eventType", "data", "topic")} == {
        "id": str(EVENT.id),
        "subject": EVENT.subject,
        "eventType": EVENT.event_type,
        "data": {"a": 1},
        "topic": "/workspaces/ws-dev",
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UndeliverableDueToHttpBadRequest"),
        (401, "UndeliverableDueToHttpUnauthorized"),
        (403, "UndeliverableDueToHttpForbidden"),
        (413, "UndeliverableDueToHttpRequestEntityTooLarge"),
    ],
)
async def test_an_answer_that_no_retry_can_mend_is_dead_lettered_at_once(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until", status: int, reason: str
) -> None:
    webhook.status = lambda _: status
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(EVENT)
    await until(lambda: eventgrid.dead_letters)
    (letter,) = eventgrid.dead_letters
    assert (letter["deadLetterReason"], letter["deliveryAttempts"]) == (reason, 1)
    assert len(webhook.deliveries) == 1


async def test_an_event_is_dead_lettered_when_its_time_to_live_is_over(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    webhook.status = lambda _: 503
    eventgrid.configure(webhook.address, (60.0,), event_time_to_live_minutes=0.01, schema="CloudEvents")
    await eventgrid.start()
    async with eventgrid.publisher() as publisher:
        await publisher.send(CloudEvent("/workspaces/ws-dev", "T", data={}))
    await until(lambda: eventgrid.dead_letters)
    (letter,) = eventgrid.dead_letters
    assert (letter["deadletterreason"], letter["deliveryattempts"]) == ("TimeToLiveExceeded", 1)
    assert letter["lastdeliveryoutcome"] == "Busy"


async def test_accepted_events_survive_a_crash(eventgrid: "EventGrid", webhook: "Webhook", until: "Until") -> None:
    webhook.status = lambda _: 500
    eventgrid.configure(webhook.address, (0.2,))
    await eventgrid.start()
    sent = [EventGridEvent(f"models/m:{number}", "T", {}, "1") for number in range(50)]
    async with eventgrid.publisher() as publisher:
        await publisher.send(sent)
    await eventgrid.kill()
    webhook.deliveries.clear()
    webhook.status = lambda _: 200
    await eventgrid.start()
    await until(lambda: {event["id"] for event in webhook.events} == {str(event.id) for event in sent})


def test_pauses_grow_stay_within_the_jitter_and_repeat_the_last() -> None:
    for attempts, pause in [(1, 10), (2, 30), (3, 60), (10, 43200), (29, 43200)]:
        drawn = {pause_after(attempts, AZURE_RETRY_PAUSES) for _ in range(20)}
        assert all(pause <= one <= pause * 1.1 for one in drawn)
        assert len(drawn) > 1
