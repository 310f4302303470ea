"""Who gets a workspace's events, for each way in which Azure may keep a subscription."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.cloud.azureml_events import subscriptions
from shared.cloud.azureml_rest import Rest
from shared.ports import EventSubscription, ForbiddenError
from tests.cloud.local_azure import STRANGER, LocalAzure

GROUP = "/subscriptions/s/resourceGroups/g"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws-dev"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-ws-dev"
FUNCTION = f"{GROUP}/providers/Microsoft.Web/sites/func/functions/intake"
DIRECT = f"{WORKSPACE}/providers/Microsoft.EventGrid/eventSubscriptions"
TOPICS = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics"


class Answers(Rest):
    """Answers by address. Any other address answers 404."""

    def __init__(self, pages: Mapping[str, Any]) -> None:
        self._pages = pages

    def get(self, url: str, **query: str) -> Any:
        return self._pages.get(url)


def shown(name: str, **more: Any) -> dict[str, Any]:
    """As infra/ makes it."""
    destination = {"endpointType": "AzureFunction", "properties": {"resourceId": FUNCTION}}
    properties = {
        "provisioningState": "Succeeded",
        "destination": destination,
        "filter": {"includedEventTypes": ["A.B"]},
    }
    return {"name": name, "properties": properties | more}


def test_the_apps_subscription_is_found_with_a_worker_s_roles(azure: LocalAzure) -> None:
    assert azure.workspace("dev").event_subscriptions() == [
        EventSubscription("to-intake", "Succeeded", "http://127.0.0.1:7071/api/events")
    ]
    assert azure.workspace("test").event_subscriptions() == []


def test_a_caller_who_may_not_read_them_is_told_which_right_is_missing(azure: LocalAzure) -> None:
    with pytest.raises(ForbiddenError, match=r"Microsoft\.EventGrid/eventSubscriptions/read"):
        azure.workspace("dev", STRANGER).event_subscriptions()


def test_all_pages_are_read() -> None:
    pages = {DIRECT: {"value": [shown("one")], "nextLink": "https://next"}, "https://next": {"value": [shown("two")]}}
    assert [each.name for each in subscriptions(Answers(pages), WORKSPACE)] == ["one", "two"]
    assert subscriptions(Answers(pages), WORKSPACE)[0] == EventSubscription("one", "Succeeded", FUNCTION, ("A.B",))


def test_where_the_workspace_lists_none_its_system_topic_is_asked_and_no_other() -> None:
    pages = {
        DIRECT: {"value": []},
        TOPICS: {
            "value": [
                {"id": f"{TOPICS}/of-another", "properties": {"source": f"{WORKSPACE}-2"}},
                {"id": TOPIC, "properties": {"source": WORKSPACE.lower()}},
            ]
        },
        f"{TOPICS}/of-another/eventSubscriptions": {"value": [shown("not-ours")]},
        f"{TOPIC}/eventSubscriptions": {"value": [shown("mlpromote-1")]},
    }
    assert [each.name for each in subscriptions(Answers(pages), WORKSPACE)] == ["mlpromote-1"]


def test_a_destination_is_read_where_the_topic_delivers_with_an_identity() -> None:
    within = {"destination": {"endpointType": "AzureFunction", "properties": {"resourceId": FUNCTION}}}
    listed = shown("one", destination=None, deliveryWithResourceIdentity=within, filter=None)
    (found,) = subscriptions(Answers({DIRECT: {"value": [listed]}}), WORKSPACE)
    assert found == EventSubscription("one", "Succeeded", FUNCTION)
