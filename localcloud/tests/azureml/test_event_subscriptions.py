"""Who gets a workspace's events, for whoever may read it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ControlPlane, workspace_id

WEBHOOK = "http://127.0.0.1:7071/runtime/webhooks/EventGrid"
DEV, TEST = workspace_id("ws-dev"), workspace_id("ws-test")


@pytest.fixture(scope="module")
def subscribed(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    subscription = {"name": "ws-dev-intake", "endpoint": f"{WEBHOOK}?functionName=intake&code=a-secret"}
    workspaces: list[dict[str, Any]] = [{"id": DEV, "event_subscriptions": [subscription]}, {"id": TEST}]
    roles = [("reader", "Reader"), ("scientist", "AzureML Data Scientist")]
    assignments = [{"principal": who, "role": role, "scope": one["id"]} for who, role in roles for one in workspaces]
    folder = tmp_path_factory.mktemp("azureml")
    plane = ControlPlane(folder, certificates, workspaces=workspaces, role_assignments=assignments)
    plane.start()
    yield plane
    plane.stop()


def listing(workspace: str) -> str:
    return f"{workspace}/providers/Microsoft.EventGrid/eventSubscriptions?api-version=2022-06-15"


def test_the_apps_subscription_is_listed_without_its_key(subscribed: ControlPlane) -> None:
    answer = subscribed.call("GET", listing(DEV), "reader")
    (found,) = answer.json()["value"]
    assert found["name"] == "ws-dev-intake"
    assert found["properties"]["provisioningState"] == "Succeeded"
    assert found["properties"]["destination"]["properties"]["endpointBaseUrl"] == WEBHOOK
    assert "a-secret" not in answer.text


def test_a_workspace_without_one_lists_none(subscribed: ControlPlane) -> None:
    assert subscribed.call("GET", listing(TEST), "reader").json() == {"value": []}


@pytest.mark.parametrize("identity", ["scientist", "stranger"])
def test_it_takes_a_right_of_event_grid(identity: str, subscribed: ControlPlane) -> None:
    answer = subscribed.call("GET", listing(DEV), identity)
    assert answer.status_code == 403
    assert "Microsoft.EventGrid/eventSubscriptions/read" in answer.json()["error"]["message"]
