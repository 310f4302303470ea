"""Lists the Event Grid subscriptions to a workspace's events.

Azure lists them below their resource. It does not document that this includes those of a system topic. So if there are
none, this reads the system topics of the workspace's resource group, which needs a right there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.cloud.azureml_rest import Rest
from shared.ports import EventSubscription

_API_VERSION = "2022-06-15"
_PROVIDER = "/providers/Microsoft.EventGrid"


def subscriptions(rest: Rest, workspace: str) -> list[EventSubscription]:
    """The subscriptions to the workspace with this ARM id."""
    own = [_read(each) for each in _pages(rest, f"{workspace}{_PROVIDER}/eventSubscriptions")]
    return own or [_read(each) for topic in _topics(rest, workspace) for each in _below(rest, topic)]


def _topics(rest: Rest, workspace: str) -> Iterator[str]:
    """The ARM ids of the workspace's system topics; at most one."""
    group = workspace[: workspace.lower().index("/providers/")]
    for topic in _pages(rest, f"{group}{_PROVIDER}/systemTopics"):
        if str((topic.get("properties") or {}).get("source", "")).lower() == workspace.lower():
            yield topic["id"]


def _below(rest: Rest, topic: str) -> Iterator[Mapping[str, Any]]:
    return _pages(rest, f"{topic}/eventSubscriptions")


def _pages(rest: Rest, address: str) -> Iterator[Mapping[str, Any]]:
    query = {"api-version": _API_VERSION}
    following: str | None = address
    while following:
        page = rest.get(following, **query) or {}
        yield from page.get("value", [])
        following, query = page.get("nextLink"), {}


def _read(found: Mapping[str, Any]) -> EventSubscription:
    properties = found.get("properties") or {}
    # If the topic has an identity, the destination is one level further down.
    delivery = properties.get("deliveryWithResourceIdentity") or {}
    destination = properties.get("destination") or delivery.get("destination") or {}
    where = destination.get("properties") or {}
    return EventSubscription(
        name=str(found.get("name", "")),
        state=str(properties.get("provisioningState", "")),
        destination=str(where.get("resourceId") or where.get("endpointBaseUrl") or ""),
        event_types=tuple((properties.get("filter") or {}).get("includedEventTypes") or ()),
    )
