"""The events of a workspace arrive at its topic, even when that is down for a while or the process is killed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import Environment, Model

from .conftest import Greeting, NewEndpoint, Plane, until, workspace_id
from .test_jobs import ended


class Topic:
    """Takes events at a URL, answering with a status of choice."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.statuses: list[int] = []
        topic = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = topic.statuses.pop(0) if topic.statuses else 200
                if status == 200:
                    topic.events += json.loads(body)
                    topic.keys.add(self.headers["aeg-sas-key"])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.server_bind()
        self.url = f"http://127.0.0.1:{self._server.server_port}/topics/ws-dev/api/events"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def open(self) -> None:
        """Before, connections are refused."""
        self._server.server_activate()
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def of_type(self, event_type: str) -> list[dict[str, Any]]:
        name = f"Microsoft.MachineLearningServices.{event_type}"
        return [event for event in self.events if event["eventType"] == name]


@pytest.fixture
def topic() -> Iterator[Topic]:
    one = Topic()
    yield one
    one.close()


def workspaces(topic: Topic) -> list[dict[str, Any]]:
    settings = {"endpoint": topic.url, "key": "the key"}
    return [{"id": workspace_id(name), "topic": settings} for name in ("ws-dev", "ws-test")]


def test_a_registered_model_is_reported_once_and_with_its_tags(plane: Plane, topic: Topic, greeting: Greeting) -> None:
    topic.open()
    topic.statuses = [503, 500]
    client = plane(workspaces=workspaces(topic)).client()
    model = Model(name="iris", version="3", path=greeting("hi"), tags={"promote": "true"})
    client.models.create_or_update(model)
    client.models.create_or_update(model)
    client.models.create_or_update(Model(name="iris", version="v4", path=greeting("hi")))
    until(lambda: len(topic.events) == 2)
    first, second = topic.events
    assert first["topic"] == workspace_id("ws-dev")
    assert (first["subject"], second["subject"]) == ("models/iris:3", "models/iris:v4")
    assert first["data"]["ModelVersion"] == 3
    assert first["data"]["ModelTags"] == {"promote": "true"}
    assert topic.keys == {"the key"}


def test_a_job_tells_each_change_of_its_status(plane: Plane, topic: Topic) -> None:
    topic.open()
    one = plane(workspaces=workspaces(topic))
    one.client().environments.create_or_update(Environment(name="training", version="1", image="image"))
    for name, line in (("good", "true"), ("bad", "false")):
        one.client().jobs.create_or_update(
            command(name=name, command=line, environment="azureml:training:1", experiment_name="churn", tags={"a": "b"})
        )
        ended(one, name)
    until(lambda: [event["data"]["runStatus"] for event in topic.of_type("RunStatusChanged")][-1] == "Failed")
    (completed,) = topic.of_type("RunCompleted")
    assert (completed["data"]["runId"], completed["data"]["experimentName"]) == ("good", "churn")
    assert completed["data"]["runTags"] == {"a": "b"}
    assert completed["subject"].endswith("/runs/good")
    told = [e["data"]["runStatus"] for e in topic.of_type("RunStatusChanged") if e["data"]["runId"] == "good"]
    assert told == ["Starting", "Queued", "Running", "Finalizing", "Completed"]


def test_events_wait_for_a_topic_that_starts_later_even_over_a_kill(
    plane: Plane, topic: Topic, new_endpoint: NewEndpoint
) -> None:
    one = plane(workspaces=workspaces(topic))
    new_endpoint(one, "told").deploy("blue", "hello")
    one.kill()
    one.start()
    topic.open()
    until(lambda: topic.of_type("ModelDeployed") and topic.of_type("ModelRegistered"))
    (deployed,) = topic.of_type("ModelDeployed")
    assert deployed["data"]["ServiceName"] == "told"
    assert "told-hello" in deployed["data"]["ModelIds"]
    (registered,) = topic.of_type("ModelRegistered")
    assert registered["topic"] == workspace_id("ws-test")
