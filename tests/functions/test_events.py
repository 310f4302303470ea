"""Events over HTTP: each is accepted, refused for good with a reason, or refused for now; never an internal error."""

import json
from collections.abc import Sequence
from typing import Any

import azure.functions as func
import pytest

from shared.core.message_bodies import encode
from shared.core.messages import ModelRegistered, News
from shared.ports import QueueUnavailableError
from tests.config.right import SETTINGS
from tests.functions.conftest import Api, http_functions
from tests.functions.failing import DEV_WORKSPACE
from tests.shared.test_alerts import changed
from tests.shared.test_notifications import ODD, REGISTERED

RIGHT = {"modelName": "churn-eu", "modelVersion": "1", "modelTags": {}}
EVENT = {"id": "1", "topic": DEV_WORKSPACE, "eventType": REGISTERED, "data": RIGHT}
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": DEV_WORKSPACE, "type": REGISTERED, "data": RIGHT}


class Events:
    """A bus for events."""

    def __init__(self) -> None:
        self.sent: list[News] = []
        self.away = False

    def send_events(self, events: Sequence[News]) -> None:
        if self.away:
            raise QueueUnavailableError("Service Bus cannot be reached", retry_after=2.0)
        self.sent += events


@pytest.fixture
def bus(api: Api) -> Events:
    bus = Events()
    api.app.bus = bus  # type: ignore[assignment]
    return bus


def post(body: Any, kind: str = "Notification", method: str = "POST") -> func.HttpResponse:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"aeg-event-type": kind, "WebHook-Request-Origin": "eventgrid.azure.net"}
    request = func.HttpRequest(method, "https://app.test/api/events", headers=headers, body=written)
    [function] = [function for route, _, function in http_functions() if route == "events"]
    return function(request)


@pytest.mark.parametrize("body", [EVENT, [EVENT], CLOUD_EVENT, [CLOUD_EVENT]])
def test_both_schemas_are_taken(body: Any, bus: Events) -> None:
    assert post(body).status_code == 202
    assert bus.sent == [ModelRegistered(DEV_WORKSPACE, "churn-eu", "1", {}, "event-grid")]


def test_both_handshakes_are_answered(bus: Events) -> None:
    answer = post([{"data": {"validationCode": "the-code"}}], "SubscriptionValidation")
    assert (answer.status_code, json.loads(answer.get_body())) == (200, {"validationResponse": "the-code"})
    answer = post(b"", method="OPTIONS")
    assert (answer.status_code, answer.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")
    assert post([], "Unsubscribe").status_code == 202
    assert bus.sent == []


@pytest.mark.parametrize("odd", ODD, ids=lambda each: type(each).__name__)
def test_what_is_malformed_is_answered_with_400_and_a_sentence(odd: Any, bus: Events) -> None:
    """Never 500, which is for bugs: Event Grid would deliver it for a day."""
    places = ("topic", "eventType", "data")
    bodies: list[Any] = [EVENT | {place: odd} for place in places] + [odd, [odd]]
    bodies += [EVENT | {"data": RIGHT | {name: odd}} for name in RIGHT]
    for body in bodies:
        try:
            written = json.dumps(body).encode()
        except (RecursionError, ValueError):
            written = b"[" * 5000 + b"]" * 5000
        for kind in ("Notification", "SubscriptionValidation", "Other"):
            answer = post(written, kind)
            assert answer.status_code in (202, 400)
            if answer.status_code == 400:
                assert json.loads(answer.get_body())["detail"]


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 5000 + b"]" * 5000, b'{"a": NaN}', b"7", b'["a"]'])
def test_what_is_no_event_is_answered_with_400(body: bytes, bus: Events) -> None:
    assert post(body).status_code == 400
    assert bus.sent == []


def test_of_a_batch_what_is_right_is_taken(bus: Events) -> None:
    answer = post([{"data": 1}, EVENT, EVENT | {"data": {}}])
    assert answer.status_code == 400
    detail = json.loads(answer.get_body())["detail"]
    assert "event 0: a notification needs a type" in detail
    assert "event 2: modelname must be" in detail
    assert len(bus.sent) == 1


def test_while_the_broker_is_away_the_event_is_to_come_again(bus: Events) -> None:
    bus.away = True
    answer = post(EVENT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


# --- alerts of Azure Monitor ------------------------------------------------------------------------------------------


def alert(condition: str, endpoint: str) -> dict[str, Any]:
    data = changed(monitorCondition=condition, alertTargetIDs=[f"{SETTINGS['TEST']}/onlineEndpoints/{endpoint}"])
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def test_an_alert_is_shown_with_the_promotion_that_serves(api: Api) -> None:
    promotion = api.start("1")
    api.run({})
    sent: list[News] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.app.bus, "send_events", sent.extend)
        for condition in ("Fired", "Resolved"):
            assert post(alert(condition, "churn-eu-test"), kind="").status_code == 202
    for news in [*sent, *sent]:  # delivered twice
        api.app.coordinator.advance(encode(news))
    shown = api.get(f"promotions/{promotion}").body
    assert [(each["stage"], each["rule"], bool(each["resolved"])) for each in shown["alerts"]] == [
        ("test", "churn-latency", True)
    ]
    lines = [line["what"] for line in shown["journal"] if line["what"].startswith("alert")]
    assert lines == ["alert-fired", "alert-resolved"]


def test_an_alert_on_something_else_is_taken_and_dropped(bus: Events) -> None:
    assert (
        post({"schemaId": "azureMonitorCommonAlertSchema", "data": changed(alertTargetIDs=[])}, "").status_code == 202
    )
    assert bus.sent == []


def test_a_malformed_alert_is_refused_and_one_that_cannot_be_sent_now_is_to_come_again(bus: Events) -> None:
    assert post({"schemaId": "azureMonitorCommonAlertSchema", "data": {}}, "").status_code == 400
    bus.away = True
    assert post(alert("Fired", "churn-eu-test"), "").status_code == 503
