"""Alert rules on endpoints, whose alerts go to the app."""

from tests.infra.deployed import Deployed
from tests.infra.shapes import NAMES, WEBHOOK, deployed, of_type, subscribed, workspace


def with_alerts(**more: object) -> Deployed:
    environments = [
        {"name": name, "workspace": workspace(name), "source": name == "dev"}
        | ({"alertEndpoints": ["churn", "fraud"], **more} if name == "prod" else {})
        for name in NAMES
    ]
    return subscribed(deployed(environments=environments))


def test_there_are_no_rules_unless_endpoints_are_named() -> None:
    assert of_type(subscribed(), "Microsoft.Insights/metricAlerts") == []


def test_each_endpoint_has_rules_for_errors_of_the_model_and_of_azure_and_for_latency() -> None:
    rules = of_type(with_alerts(), "Microsoft.Insights/metricAlerts")
    assert {rule.name for rule in rules} == {
        f"{endpoint}-{kind}" for endpoint in ("churn", "fraud") for kind in ("errors", "model-errors", "latency")
    }
    for rule in rules:
        [scope] = rule.properties["scopes"]
        assert scope == f"{workspace('prod')}/onlineEndpoints/{rule.name.partition('-')[0]}"
        assert rule.properties["autoMitigate"], "or nobody would be told that it is over"
    [latency] = [rule for rule in rules if rule.name == "churn-latency"]
    [criterion] = latency.properties["criteria"]["allOf"]
    assert (criterion["metricName"], criterion["threshold"]) == ("RequestLatency_P95", 1000)
    for name, dimension, value in (
        ("churn-model-errors", "statusCode", "424"),
        ("churn-errors", "statusCodeClass", "5xx"),
    ):
        [errors] = [rule for rule in rules if rule.name == name]
        [criterion] = errors.properties["criteria"]["allOf"]
        assert (criterion["metricName"], criterion["operator"]) == ("RequestsPerMinute", "GreaterThan")
        assert criterion["dimensions"] == [{"name": dimension, "operator": "Include", "values": [value]}]


def test_the_limits_can_be_set() -> None:
    rules = of_type(
        with_alerts(alertErrorsPerMinute=5, alertLatencyMilliseconds=300), "Microsoft.Insights/metricAlerts"
    )
    limits = {rule.name: rule.properties["criteria"]["allOf"][0]["threshold"] for rule in rules}
    assert (limits["churn-errors"], limits["churn-model-errors"], limits["churn-latency"]) == (5, 5, 300)


def test_alerts_go_to_the_app_in_the_common_schema() -> None:
    made = with_alerts()
    [group] = of_type(made, "Microsoft.Insights/actionGroups")
    [receiver] = group.properties["webhookReceivers"]
    assert (receiver["serviceUri"], receiver["useCommonAlertSchema"]) == (WEBHOOK, True)
    for rule in of_type(made, "Microsoft.Insights/metricAlerts"):
        assert rule.properties["actions"] == [{"actionGroupId": group.id}]
