"""Monitors of deployments: made without signals of one's own, and pointed at the deployment that took over."""

from typing import Any

import pytest
from azure.ai.ml.entities import (
    AlertNotification,
    DataCollector,
    DeploymentCollection,
    MonitorDefinition,
    MonitoringTarget,
    MonitorSchedule,
    ServerlessSparkCompute,
)
from azure.ai.ml.exceptions import ScheduleException

from .conftest import ControlPlane, Endpoint, NewEndpoint, until, workspace_id
from .test_schedules import DAILY

SCHEDULES = f"{workspace_id('ws-test')}/schedules"


def monitor(name: str, endpoint: str, deployment: str, **more: Any) -> MonitorSchedule:
    compute = ServerlessSparkCompute(instance_type="standard_e4s_v3", runtime_version="3.4")
    target = MonitoringTarget(ml_task="classification", endpoint_deployment_id=f"azureml:{endpoint}:{deployment}")
    definition = MonitorDefinition(compute=compute, monitoring_target=target, **more)
    return MonitorSchedule(name=name, trigger=DAILY, create_monitor=definition)


def created(cloud: ControlPlane, schedule: MonitorSchedule) -> dict[str, Any]:
    cloud.client("ws-test").schedules.begin_create_or_update(schedule)

    def complete() -> Any:
        body = cloud.call("GET", f"{SCHEDULES}/{schedule.name}").json()
        return body["properties"]["provisioningState"] == "Succeeded" and body

    body: dict[str, Any] = until(complete)
    return body


def deploy_collecting(endpoint: Endpoint, name: str, words: str) -> None:
    collections = {kind: DeploymentCollection(enabled="True") for kind in ("model_inputs", "model_outputs")}
    endpoint.begin(name, words, data_collector=DataCollector(collections, rolling_rate="hour"))
    until(lambda: endpoint.state(name) == "Succeeded")


def test_a_monitor_is_made_for_a_deployment_and_follows_the_next_one(
    cloud: ControlPlane, new_endpoint: NewEndpoint
) -> None:
    endpoint = new_endpoint(cloud, "monitored")
    deploy_collecting(endpoint, "blue", "old")
    deploy_collecting(endpoint, "green", "new")
    alert = AlertNotification(emails=["team@example.test"])
    for deployment in ("blue", "green"):
        made = created(cloud, monitor("follows", "monitored", deployment, alert_notification=alert))
        definition = made["properties"]["action"]["monitorDefinition"]
        assert definition["monitoringTarget"]["deploymentId"].endswith(f"/monitored/deployments/{deployment}")
        # What is out of the box watches what the deployment's collector writes.
        assert len(definition["signals"]) == 3
        assert f"monitored-{deployment}-model_inputs" in str(definition["signals"])
        assert definition["alertNotificationSetting"]["emailNotificationSetting"]["emails"] == ["team@example.test"]
    schedules = cloud.client("ws-test").schedules
    shown = schedules.get("follows")
    assert shown.create_monitor.monitoring_target.endpoint_deployment_id.endswith("/deployments/green")
    assert [each.name for each in schedules.list()].count("follows") == 1
    run = schedules.trigger("follows").job_name
    until(lambda: cloud.client("ws-test").jobs.get(run).status == "Completed")
    assert len(list(cloud.client("ws-test").jobs.list(parent_job_name=run))) == 3


def test_a_monitor_of_a_deployment_that_collects_nothing_is_refused_by_the_sdk(
    cloud: ControlPlane, new_endpoint: NewEndpoint
) -> None:
    endpoint = new_endpoint(cloud, "unmonitored")
    endpoint.deploy("blue", "old")
    with pytest.raises(ScheduleException, match="data collector enabled"):
        cloud.client("ws-test").schedules.begin_create_or_update(monitor("refused", "unmonitored", "blue"))
    assert cloud.call("GET", f"{SCHEDULES}/refused").status_code == 404


def test_a_monitor_of_a_deployment_that_is_not_there_is_refused(cloud: ControlPlane) -> None:
    target = {
        "taskType": "Classification",
        "deploymentId": f"{workspace_id('ws-test')}/onlineEndpoints/e/deployments/d",
    }
    action = {"actionType": "CreateMonitor", "monitorDefinition": {"monitoringTarget": target, "signals": {}}}
    properties = {"trigger": {"triggerType": "Cron", "expression": "0 0 * * *"}, "action": action}
    answer = cloud.call("PUT", f"{SCHEDULES}/nothing", json={"properties": properties})
    assert answer.status_code == 400
    assert "onlineEndpoints/e/deployments/d" in answer.json()["error"]["message"]
