"""What follows the deployment that serves: its monitor, the alerts on its endpoint, and the quota that it takes.

What the app publishes about these reaches a subscriber of its topic, as do the holds of operators.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.http_server import bind, port_of
from localcloud.testing.eventgrid import Webhook
from localcloud.up import Description
from shared.core.promotion import APPROVER
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.people import People
from tests.e2e.promoting import failure, journal, running_steps

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Cores of prod for the size in `serving/large.yml`: one deployment takes 16.
CORES = 24
TOPIC = {"MLPROMOTE_TOPIC_ENDPOINT": "{topic_promotions}", "MLPROMOTE_TOPIC_KEY": "{topic_key_promotions}"}
PEOPLE = {"alice": {"roles": [OPERATOR]}, "bob": {"roles": [APPROVER]}}
#: Loops of requests that make figures.
LOOPS = 3


@pytest.fixture(scope="module")
def port() -> int:
    """The port of the subscriber, which starts after the cloud."""
    with bind(0) as free:
        return port_of(free)


@pytest.fixture(scope="module")
def description(port: int) -> Description:
    """Minutes of the metrics last a second, and prod may read its quota."""
    azureml = describe("x", "dev").azureml | {
        "metrics": {"delay_seconds": 0.5, "minute_seconds": 1},
        "quotas": [{"subscription": "sub-prod", "families": {"FSv2": CORES}}],
    }
    topics = [{"name": "promotions", "webhooks": [f"http://127.0.0.1:{port}/hook"]}]
    described = describe(
        "tests/e2e/serving/promotion.yml", "dev", "prod", azureml=azureml, topics=topics, people=PEOPLE
    )
    assert described.app is not None
    app = described.app.model_copy(update={"settings": described.app.settings | TOPIC})
    prod = described.environments["prod"].model_copy(update={"reads_quota": True})
    return described.model_copy(update={"app": app, "environments": {**described.environments, "prod": prod}})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def subscriber(cloud: Cloud, port: int) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    async with webhook.listening(port):
        yield webhook


@pytest.fixture
def people(cloud: Cloud) -> People:
    return People(cloud)


async def told(subscriber: Webhook, kind: str, subject: str) -> Mapping[str, Any]:
    """The data of the event of this type about this subject, once it is there; there must be only one."""

    async def look() -> Mapping[str, Any] | None:
        found = {
            event["id"]: event["data"]
            for event in subscriber.events
            if event["type"] == f"mlpromote.{kind}" and subject in event["subject"]
        }
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    return await until(look, f"mlpromote.{kind} about {subject} is published")


# --- the monitor ------------------------------------------------------------------------------------------------------


async def watched_by(cloud: Cloud, monitor: str) -> str | None:
    """The version of the model in the deployment that a monitor of prod watches; None without the monitor."""
    workspace = cloud.parts.addresses["workspaces"]["prod"]
    version = {"api-version": "2023-06-01-preview"}
    found = await cloud.azure.call("GET", f"{workspace}/schedules/{monitor}", params=version)
    if found is None:
        return None
    target = str(found["properties"]["action"]["monitorDefinition"]["monitoringTarget"]["deploymentId"])
    endpoint, _, deployment = target.partition("/onlineEndpoints/")[2].partition("/deployments/")
    return (await cloud.azure.deployments("prod", endpoint)).get(deployment, "gone")


async def test_a_monitor_is_made_follows_each_new_deployment_and_goes_back_with_a_rollback(
    cloud: Cloud, people: People
) -> None:
    model, monitor = "monitored-one", "monitored-one-drift"
    assert await watched_by(cloud, monitor) is None
    for version in ("1", "2"):
        await cloud.azure.register(model, version)
        promotion = await cloud.promotions.succeeded(model, version)
        assert await watched_by(cloud, monitor) == version
        (stage,) = promotion["stages"]
        moved = next(step for step in stage["steps"] if step["name"] == "move_monitor")
        assert moved["evidence"]["monitor"] == monitor
    assert sorted((await cloud.azure.deployments("prod", model)).values()) == ["1", "2"], "version 1 is kept"
    await people.ask("alice", f"promotions/{promotion['id']}/roll-back")
    assert (await cloud.promotions.ended(model, "2"))["status"] == "rolled-back"
    assert await watched_by(cloud, monitor) == "1"


# --- alerts -----------------------------------------------------------------------------------------------------------


def alert(cloud: Cloud, endpoint: str, condition: str) -> Mapping[str, Any]:
    """A metric alert as an action group of Azure Monitor posts it."""
    target = f"{cloud.parts.addresses['workspaces']['prod']}/onlineEndpoints/{endpoint}"
    essentials = {
        "alertId": f"/subscriptions/sub-prod/providers/Microsoft.AlertsManagement/alerts/of-{endpoint}",
        "alertRule": f"{endpoint}-latency",
        "severity": "Sev2",
        "signalType": "Metric",
        "monitorCondition": condition,
        "monitoringService": "Platform",
        "alertTargetIDs": [target.lower()],  # in small letters, as Azure Monitor writes ids
        "description": "The endpoint answers slowly.",
    }
    criterion = {"metricName": "RequestLatency_P95", "operator": "GreaterThan", "threshold": "500", "metricValue": 612}
    context = {"condition": {"windowSize": "PT5M", "allOf": [criterion]}}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials, "alertContext": context}}


async def deliver(cloud: Cloud, content: Mapping[str, Any]) -> None:
    async with cloud.http.post(cloud.parts.layout.webhook, json=content) as answer:
        assert answer.status == 202, await answer.text()


async def test_an_alert_is_shown_with_the_promotion_that_serves_and_published_when_it_fires_and_when_it_ends(
    cloud: Cloud, subscriber: Webhook
) -> None:
    model = "monitored-alerted"
    await cloud.azure.register(model, "1")
    await cloud.promotions.succeeded(model)
    for _ in range(2):  # Azure Monitor may deliver twice
        await deliver(cloud, alert(cloud, model, "Fired"))

    async def is_shown() -> Promotion | None:
        found = await cloud.promotions.find(model, "1")
        return found if found and found["alerts"] else None

    promotion = await until(is_shown, "the alert is shown")
    [shown] = promotion["alerts"]
    assert (shown["stage"], shown["rule"], shown["resolved"]) == ("prod", f"{model}-latency", None)
    assert shown["text"] == "The endpoint answers slowly.; RequestLatency_P95 612 (GreaterThan 500)"
    fired = await told(subscriber, "promotion.alert-fired", f"/{promotion['id']}/stages/prod")
    assert "RequestLatency_P95 612" in fired["text"]
    assert (fired["promotion"]["version"], promotion["status"]) == ("1", "succeeded"), "an alert decides nothing"

    await deliver(cloud, alert(cloud, model, "Resolved"))
    await told(subscriber, "promotion.alert-resolved", f"/{promotion['id']}/stages/prod")
    found = await cloud.promotions.find(model, "1")
    assert found is not None
    assert found["alerts"][0]["resolved"]
    assert await cloud.azure.only_deployment("prod", model) == "1"


# --- the quota --------------------------------------------------------------------------------------------------------


async def test_too_little_quota_for_both_is_a_failure_before_anybody_is_asked_and_anything_is_spent(
    cloud: Cloud, people: People
) -> None:
    model = "crowded-one"
    await cloud.azure.register(model, "1")

    async def asks() -> Promotion | None:
        found = await cloud.promotions.find(model, "1")
        return found if found and running_steps(found) == ["approve"] else None

    promotion = await until(asks, "people are asked about version 1")
    (stage,) = promotion["stages"]
    takes = next(step["evidence"] for step in stage["steps"] if step["name"] == "check_capacity")
    assert (takes["instances"], takes["cores"], takes["left"]) == (3, 16, CORES)
    assert (takes["cost"], takes["currency"]) == (0.6, "EUR")
    await people.ask("bob", f"promotions/{promotion['id']}/approve")
    await cloud.promotions.succeeded(model)

    made = len(await cloud.azure.calls("PUT", f"*/onlineEndpoints/{model}*"))
    await cloud.azure.register(model, "2")
    promotion = await cloud.promotions.failed(model, "2")
    found = failure(promotion)
    assert found["kind"] == "quota"
    assert found["reason"].startswith(
        "The deployment needs 16 cores of the quota 'Standard FSv2 Family Cluster Dedicated vCPUs' for 3 × "
        "Standard_F4s_v2 (with what Azure keeps for upgrades), and 8 are left while v1-"
    )
    assert "step-failed check_capacity" in journal(promotion)
    assert not any("approve" in line for line in journal(promotion)), "nobody was asked"
    assert len(await cloud.azure.calls("PUT", f"*/onlineEndpoints/{model}*")) == made
    assert await cloud.azure.only_deployment("prod", model) == "1"


# --- holds and breaches -----------------------------------------------------------------------------------------------


async def test_holds_are_published_with_what_they_hold_who_set_them_why_and_until_when(
    people: People, subscriber: Webhook
) -> None:
    until_when = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    scope = "watched/watched-held/prod"
    await people.ask("alice", "holds", scope=scope, reason="quarter's end", until=until_when.isoformat())
    held = await told(subscriber, "hold.set", f"holds/{scope}")
    assert (held["scope"], held["route"], held["model"], held["stage"]) == (scope, *scope.split("/"))
    assert (held["who"], held["text"]) == ("alice", "quarter's end")
    assert datetime.fromisoformat(held["until"]) == until_when
    await people.ask("alice", "holds/release", scope=scope, reason="books are closed")
    released = await told(subscriber, "hold.released", f"holds/{scope}")
    assert (released["who"], released["text"], released["until"]) == ("alice", "books are closed", None)

    await people.ask("alice", "holds", scope="watched/*/prod")
    try:
        every = await told(subscriber, "hold.set", "holds/watched/*/prod")
        assert (every["route"], every["model"], every["stage"]) == ("watched", None, "prod")
    finally:
        await people.ask("alice", "holds/release", scope="watched/*/prod")


async def test_a_breach_while_it_is_watched_is_published_with_the_figures_and_so_is_the_release(
    cloud: Cloud, people: People, subscriber: Webhook
) -> None:
    model = "watched-one"
    await cloud.azure.register(model, "1")
    await cloud.promotions.succeeded(model)
    await cloud.azure.register(model, "2", "spoilt")

    await cloud.promotions.comes_to(model, "2", "watch")
    async with cloud.azure.crowd(LOOPS, "prod", model, {"spoil": True}, pause_seconds=0.1):
        promotion = await cloud.promotions.ended(model, "2")
    assert promotion["status"] == "rolled-back", promotion["reason"]
    breach = await told(subscriber, "promotion.rolled-back", f"/{promotion['id']}/stages/prod")
    assert (breach["stage"], breach["promotion"]["model"], breach["promotion"]["route"]) == ("prod", model, "watched")
    assert breach["text"].startswith("mlpromote: Refused for prod"), breach["text"]
    assert "error_rate" in breach["text"]
    await people.ask("alice", "holds/release", scope=f"watched/{model}/prod", reason="it was the data")
    released = await told(subscriber, "promotion.released", f"/{promotion['id']}/stages/prod")
    assert released["text"] == "alice: it was the data"
    assert released["who"] == "alice"
