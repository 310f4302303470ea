"""Events as the dev workspace raises them, and the two ways in which they reach the app."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.e2e.conftest import Cloud

_TYPES = "Microsoft.MachineLearningServices."


def model_registered(cloud: Cloud, model: str, version: Any) -> dict[str, Any]:
    """In the Event Grid schema, whether the model exists or not."""
    data = {"ModelName": model, "ModelVersion": version, "ModelTags": {}, "ModelProperties": {}}
    return _event(cloud, "ModelRegistered", f"models/{model}:{version}", data)


def run_completed(cloud: Cloud, job: str, experiment: str) -> dict[str, Any]:
    """In the Event Grid schema, for a job that is no child of another."""
    data = {
        "experimentId": str(uuid.uuid5(uuid.NAMESPACE_URL, experiment)),
        "experimentName": experiment,
        "runId": job,
        "runType": "azureml.scriptrun",
        "runTags": {},
        "runProperties": {},
    }
    return _event(cloud, "RunCompleted", f"experiments/{data['experimentId']}/runs/{job}", data)


def as_cloud_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """The same event in the CloudEvents 1.0 schema."""
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "data": event["data"],
    }


async def publish(cloud: Cloud, event: Mapping[str, Any]) -> None:
    """Give an event, of either schema, to the dev workspace's topic."""
    layout = cloud.parts.layout
    is_cloud_event = "specversion" in event
    headers = {
        "aeg-sas-key": layout.secrets.topic_keys["dev"],
        "Content-Type": "application/cloudevents+json" if is_cloud_event else "application/json",
    }
    content = json.dumps(event if is_cloud_event else [event])
    async with cloud.http.post(layout.topics["dev"], data=content, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


async def deliver(cloud: Cloud, event: Mapping[str, Any]) -> int:
    """Deliver an event, of either schema, to the app as Event Grid does; returns the status of the answer."""
    content: Any = event if "specversion" in event else [event]
    headers = {"aeg-event-type": "Notification"}
    async with cloud.http.post(cloud.parts.layout.webhook, json=content, headers=headers) as answer:
        return answer.status


def _event(cloud: Cloud, name: str, subject: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "topic": cloud.parts.layout.workspace_ids["dev"],
        "subject": subject,
        "eventType": _TYPES + name,
        "eventTime": datetime.now(UTC).isoformat(),
        "dataVersion": "2",
        "metadataVersion": "1",
        "data": data,
    }
