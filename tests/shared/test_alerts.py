"""Alerts of Azure Monitor in the common schema, from the wire to the lane that serves the endpoint."""

import copy
from typing import Any

import pytest

from shared.coordinator import alerts
from shared.core.messages import EndpointAlert

WORKSPACE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws-prod"
ALERT_ID = "/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/0f1e"
#: In the form of Azure's sample of a metric alert.
DATA: dict[str, Any] = {
    "essentials": {
        "alertId": ALERT_ID,
        "alertRule": "churn-latency",
        "severity": "Sev2",
        "signalType": "Metric",
        "monitorCondition": "Fired",
        "monitoringService": "Platform",
        "alertTargetIDs": [f"{WORKSPACE}/onlineEndpoints/churn-eu"],
        "originAlertId": "x",
        "firedDateTime": "2026-11-20T10:25:16.9Z",
        "description": "Answers are slow",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    },
    "alertContext": {
        "properties": {},
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {
            "windowSize": "PT5M",
            "allOf": [
                {
                    "metricName": "RequestLatency_P95",
                    "metricNamespace": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
                    "operator": "GreaterThan",
                    "threshold": "500",
                    "timeAggregation": "Average",
                    "dimensions": [{"name": "deployment", "value": "v3-abc"}],
                    "metricValue": 612.4,
                }
            ],
        },
    },
}


def changed(**essentials: Any) -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    data["essentials"] |= essentials
    return data


def test_an_alert_says_what_fired_where_and_why() -> None:
    [news] = alerts.read(DATA)
    assert news == EndpointAlert(
        WORKSPACE,
        "churn-eu",
        ALERT_ID,
        "churn-latency",
        True,
        "Answers are slow; RequestLatency_P95 612.4 (GreaterThan 500), deployment v3-abc",
        "azure-monitor",
    )


def test_the_same_alert_has_one_message_id_for_each_condition() -> None:
    [fired], [again], [resolved] = (
        alerts.read(changed(monitorCondition=each)) for each in ("Fired", "Fired", "Resolved")
    )
    assert fired.message_id == again.message_id != resolved.message_id
    assert not resolved.fired


def test_one_on_several_endpoints_or_their_deployments_is_one_for_each_and_others_are_ignored() -> None:
    targets = [
        f"{WORKSPACE}/onlineEndpoints/a",
        f"{WORKSPACE.lower()}/onlineendpoints/b/deployments/v1",
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/app",
        7,
    ]
    assert [news.endpoint for news in alerts.read(changed(alertTargetIDs=targets))] == ["a", "b"]


@pytest.mark.parametrize("context", [None, {}, {"condition": None}, {"condition": {"allOf": [1, {}]}}])
def test_without_a_context_that_we_know_the_description_is_told(context: Any) -> None:
    [news] = alerts.read({**DATA, "alertContext": context})
    assert news.says == "Answers are slow"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"essentials": 1},
        changed(monitorCondition="Maybe"),
        changed(alertId=""),
        changed(alertRule=None),
        changed(alertTargetIDs="x"),
        changed(alertId="x" * 2000),
    ],
)
def test_what_is_no_alert_is_refused_in_words(data: Any) -> None:
    with pytest.raises(alerts.MalformedAlertError):
        alerts.read(data)
