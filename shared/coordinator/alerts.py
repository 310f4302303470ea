"""Alerts of Azure Monitor on endpoints: read from the common alert schema, and given to the lane that serves.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shared.core.events import AlertChanged
from shared.core.messages import EndpointAlert
from shared.core.promotion import Lane
from shared.ports import Store

if TYPE_CHECKING:
    from shared.config import Configuration

#: What Azure Monitor sends as `schemaId`.
SCHEMA = "azureMonitorCommonAlertSchema"
SOURCE = "azure-monitor"
#: Of a text for people.
_LONGEST_TEXT = 300
_LONGEST_ID = 1000
#: Lanes that are read at once.
_PAGE = 100
_ENDPOINT = re.compile(
    r"(?P<workspace>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices"
    r"/workspaces/[^/]+)/onlineEndpoints/(?P<endpoint>[^/]+)(?:/.*)?",
    re.IGNORECASE,
)
_CONDITIONS = ("fired", "resolved")


class MalformedAlertError(ValueError):
    """The alert lacks something that the schema requires; the text says what."""


def read(data: Any) -> list[EndpointAlert]:
    """One alert for each online endpoint that it is about; none for an alert on anything else."""
    essentials = data.get("essentials") if isinstance(data, Mapping) else None
    if not isinstance(essentials, Mapping):
        raise MalformedAlertError("an alert needs data.essentials")
    condition = _text(essentials, "monitorCondition")
    if condition.lower() not in _CONDITIONS:
        raise MalformedAlertError(f"monitorCondition must be Fired or Resolved, not {condition[:80]!r}")
    targets = essentials.get("alertTargetIDs")
    if not isinstance(targets, list):
        raise MalformedAlertError("alertTargetIDs must be a list")
    alert, rule = _text(essentials, "alertId"), _text(essentials, "alertRule")
    says = _says(essentials, data.get("alertContext"))
    fired = condition.lower() == "fired"
    found = [_ENDPOINT.fullmatch(target) for target in targets if isinstance(target, str)]
    return [
        EndpointAlert(each["workspace"], each["endpoint"], alert, rule[:_LONGEST_TEXT], fired, says, SOURCE)
        for each in found
        if each is not None
    ]


def changes(news: EndpointAlert, configuration: "Configuration", store: Store) -> Iterator[AlertChanged]:
    """The alert for each lane that has served the endpoint in a stage."""
    for route in configuration.model_routes:
        for stage in route.stages:
            if not configuration.environments[stage.environment].workspace.has_id(news.workspace):
                continue
            for lane in _lanes(store, route.name):
                is_its = stage.endpoint_for(lane.key.model).casefold() == news.endpoint.casefold()
                if is_its and (stage.name in lane.champions or stage.name in lane.alerts):
                    yield AlertChanged(lane.key, stage.name, news.alert, news.rule, news.fired, news.says, news.source)


def _lanes(store: Store, route: str) -> Iterator[Lane]:
    following: str | None = None
    while True:
        page = store.lanes(route, None, _PAGE, following)
        yield from page.lanes
        following = page.following
        if following is None:
            return


def _says(essentials: Mapping[str, Any], context: Any) -> str:
    """The rule's description, and the values that met its conditions."""
    condition = context.get("condition") if isinstance(context, Mapping) else None
    every = condition.get("allOf") if isinstance(condition, Mapping) else None
    met = [_criterion(each) for each in every if isinstance(each, Mapping)] if isinstance(every, list) else []
    described = essentials.get("description")
    parts = [described if isinstance(described, str) else "", ", ".join(filter(None, met))]
    return "; ".join(filter(None, parts))[:_LONGEST_TEXT] or "no description"


def _criterion(criterion: Mapping[str, Any]) -> str:
    """`RequestLatency_P95 612 (GreaterThan 500), deployment v3-abc`."""
    name, value = criterion.get("metricName"), criterion.get("metricValue")
    if not isinstance(name, str):
        return ""
    limit = f" ({criterion.get('operator')} {criterion.get('threshold')})" if criterion.get("threshold") else ""
    dimensions = criterion.get("dimensions")
    named = [
        f"{each.get('name')} {each.get('value')}"
        for each in (dimensions if isinstance(dimensions, list) else [])
        if isinstance(each, Mapping)
    ]
    return ", ".join([f"{name} {value if value is not None else 'no value'}{limit}", *named])


def _text(essentials: Mapping[str, Any], key: str) -> str:
    value = essentials.get(key)
    if not isinstance(value, str) or not value or len(value) > _LONGEST_ID:
        raise MalformedAlertError(f"{key} must be a string of 1 to {_LONGEST_ID} characters")
    return value.encode(errors="replace").decode()
