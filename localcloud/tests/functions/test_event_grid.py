"""The Event Grid webhook of a running host."""

import json
from typing import Any

import pytest

from tests.functions.conftest import RunningHost, StartHost

EVENT = {
    "id": "e1",
    "topic": "/subscriptions/s/workspaces/w",
    "subject": "models/churn:7",
    "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
    "eventTime": "2026-11-20T10:00:00Z",
    "data": {"ModelName": "churn", "ModelVersion": 7},
    "dataVersion": "",
    "metadataVersion": "1",
}
CLOUD_EVENT = {"specversion": "1.0", "id": "c1", "source": "/w", "type": "t", "data": {"a": 1}}
NOTIFICATION = {"aeg-event-type": "Notification"}


@pytest.fixture
async def host(start_host: StartHost) -> RunningHost:
    return await start_host()


def webhook(host: RunningHost, function: str = "on_event", key: str | None = None) -> str:
    code = host.keys["systemKeys"]["eventgrid_extension"] if key is None else key
    return f"/runtime/webhooks/eventgrid?functionName={function}&code={code}"


async def notify(host: RunningHost, content: Any, function: str = "on_event") -> tuple[int, str]:
    answer = await host.call("POST", webhook(host, function), headers=NOTIFICATION, data=json.dumps(content))
    return answer[0], answer[1]


async def test_event_reaches_its_function(host: RunningHost) -> None:
    assert (await notify(host, [EVENT]))[0] == 202
    assert host.seen("on_event") == [
        {
            "function": "on_event",
            "id": "e1",
            "type": EVENT["eventType"],
            "subject": EVENT["subject"],
            "topic": EVENT["topic"],
            "data": EVENT["data"],
        }
    ]


async def test_cloud_event_alone_reaches_its_function(host: RunningHost) -> None:
    assert (await notify(host, CLOUD_EVENT, "on_cloud_event"))[0] == 202
    assert host.seen("on_cloud_event")[0]["data"] == {"a": 1}


async def test_whole_batch_runs_and_fails_if_one_event_fails(host: RunningHost) -> None:
    failing = {**EVENT, "id": "e2", "data": {"fail": True}}
    status, text = await notify(host, [failing, EVENT, EVENT])
    assert status == 500
    assert "failed on purpose" in text
    assert len(host.seen("on_event")) == 3


async def test_both_handshakes_are_answered(host: RunningHost) -> None:
    event = {**EVENT, "data": {"validationCode": "the-code"}}
    headers = {"aeg-event-type": "SubscriptionValidation"}
    status, text, _ = await host.call("POST", webhook(host), headers=headers, json=[event])
    assert (status, json.loads(text)) == (200, {"validationResponse": "the-code"})
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    status, _, answered = await host.call("OPTIONS", webhook(host), headers=origin)
    assert (status, answered["Webhook-Allowed-Origin"]) == (200, "eventgrid.azure.net")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"aeg-event-type": "Unsubscribe"}, b"", 202),
        ({"aeg-event-type": "Other"}, b"[]", 400),
        ({}, b"[]", 400),
        (NOTIFICATION, b"no json", 400),
        (NOTIFICATION, b"[1]", 400),
        pytest.param(NOTIFICATION, b"[" * 100_000 + b"]" * 100_000, 400, id="nested too deeply"),
        ({"aeg-event-type": "SubscriptionValidation"}, b"[{}]", 400),
    ],
)
async def test_other_requests_are_answered_as_in_azure(
    host: RunningHost, headers: dict[str, str], body: bytes, expected: int
) -> None:
    assert (await host.call("POST", webhook(host), headers=headers, data=body))[0] == expected
    assert host.seen("on_event") == []


async def test_webhook_asks_for_its_own_key_and_a_function_with_that_trigger(host: RunningHost) -> None:
    for key, expected in ((host.keys["default"], 401), ("", 401), (host.keys["master"], 202)):
        path = webhook(host, key=key)
        assert (await host.call("POST", path, headers=NOTIFICATION, json=[]))[0] == expected
    assert (await notify(host, [EVENT], "unknown"))[0] == 404
    assert (await notify(host, [EVENT], "hello"))[0] == 404
