"""An app in the local cloud: it is given its settings and events, and misses none while it is down."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.servicebus.aio import ServiceBusClient

from localcloud.configuration_file import ConfigurationError
from localcloud.up import Description, LocalCloud, PartFailedError

APP = """
import os

import azure.functions as func

app = func.FunctionApp()


@app.function_name("intake")
@app.event_grid_trigger(arg_name="event")
@app.service_bus_queue_output(arg_name="message", queue_name="promotion-events", connection="ServiceBus")
def intake(event: func.EventGridEvent, message: func.Out[str]) -> None:
    message.set(f"{event.topic == os.environ['WORKSPACE']} {event.subject} {os.environ['GREETING']}")
"""


SETTINGS = {"GREETING": "from {registry}", "WORKSPACE": "{workspace_dev}", "ServiceBus": "{servicebus_connection}"}


def description(folder: Path, function: str = "intake") -> Description:
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "function_app.py").write_text(APP)
    return Description.model_validate(
        {
            "registry": "contoso-ml",
            "environments": {"dev": {"subscription": "s", "resource_group": "g", "workspace": "ws-dev"}},
            "queues": ["promotion-events"],
            "retry_pauses": [0.2],
            "event_subscriptions": {"function": function},
            "app": {"folder": str(folder), "settings": SETTINGS},
        }
    )


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(description(tmp_path), tmp_path / "data") as one:
        yield one


async def publish(addresses: dict[str, Any], subject: str) -> None:
    eventgrid = addresses["eventgrid"]
    credential = AzureKeyCredential(eventgrid["keys"]["dev"])
    async with EventGridPublisherClient(eventgrid["topics"]["dev"], credential) as publisher:
        await publisher.send(EventGridEvent(subject, "T", {}, "1"))


async def next_message(addresses: dict[str, Any]) -> str:
    connection = addresses["servicebus"]["connection_string"]
    async with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_receiver("promotion-events") as receiver,
    ):
        (message,) = await receiver.receive_messages(max_wait_time=300)
        await receiver.complete_message(message)
        return str(message)


async def test_an_event_of_a_workspace_reaches_the_app_and_its_answer_the_queue(cloud: LocalCloud) -> None:
    await publish(cloud.addresses, "models/churn:1")
    assert await next_message(cloud.addresses) == "True models/churn:1 from contoso-ml"


async def test_an_event_that_comes_while_the_app_is_down_is_delivered_when_it_is_back(cloud: LocalCloud) -> None:
    await cloud.kill("functions")
    await publish(cloud.addresses, "models/churn:2")
    await cloud.restart("functions")
    assert await next_message(cloud.addresses) == "True models/churn:2 from contoso-ml"


async def test_an_app_that_does_not_take_events_fails_the_start_and_nothing_stays(tmp_path: Path) -> None:
    cloud = LocalCloud(description(tmp_path, function="other"), tmp_path / "data", confirmed_within=1)
    with pytest.raises(PartFailedError, match=r"ws-dev-other.*'other'"):
        async with cloud:
            pass
    assert not (tmp_path / "data" / "addresses.json").exists()
    with pytest.raises(RuntimeError, match="not running"):
        await cloud.restart("functions")


CHECK = """
import os, sys
print(f"greeting: {os.environ['GREETING']}; {os.getcwd()}")
sys.exit(int(os.environ["ENDS_WITH"]))
"""


def checked(folder: Path, ends_with: int, check: str = "checks.configuration") -> Description:
    (folder / "checks").mkdir()
    (folder / "checks" / "configuration.py").write_text(CHECK)
    found = description(folder)
    assert found.app
    settings = {**SETTINGS, "ENDS_WITH": str(ends_with)}
    return found.model_copy(update={"app": found.app.model_copy(update={"check": check, "settings": settings})})


async def test_an_app_that_refuses_its_configuration_is_reported_and_nothing_is_started(tmp_path: Path) -> None:
    cloud = LocalCloud(checked(tmp_path, 1), tmp_path / "data")
    with pytest.raises(ConfigurationError, match=f"greeting: from contoso-ml; {tmp_path}") as refused:
        await cloud.start()
    assert str(refused.value).startswith("The app cannot work with its configuration, so nothing was started.")
    assert not (tmp_path / "data" / "logs").exists() or not list((tmp_path / "data" / "logs").iterdir())


async def test_a_check_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"checks\.nothing"):
        await LocalCloud(checked(tmp_path, 0, "checks.nothing"), tmp_path / "data").start()


async def test_an_app_that_takes_its_configuration_is_started(tmp_path: Path) -> None:
    async with LocalCloud(checked(tmp_path, 0), tmp_path / "data") as cloud:
        assert cloud.addresses["functions"]["url"]


async def test_the_cloud_that_azure_mls_sdk_uses_in_this_process_is_not_the_apps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "Another")
    described = checked(tmp_path, 0)
    refuses = "\nassert 'AZUREML_CURRENT_CLOUD' not in os.environ\n"
    (tmp_path / "checks" / "configuration.py").write_text(CHECK.replace("\nprint", f"{refuses}print"))
    (tmp_path / "function_app.py").write_text(APP + refuses)
    async with LocalCloud(described, tmp_path / "data") as cloud:
        await publish(cloud.addresses, "models/churn:3")
        assert await next_message(cloud.addresses) == "True models/churn:3 from contoso-ml"
