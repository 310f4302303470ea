"""Topics of the app's own: for what it publishes, with whatever subscribes to them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from localcloud.configuration_file import read_configuration
from localcloud.eventgrid.configuration import EventGridConfiguration
from localcloud.eventgrid.events import Schema
from localcloud.up import Description, LocalCloud, Ports
from localcloud.up.kept_secrets import keep_secrets
from localcloud.up.layout import Layout
from localcloud.up.part_files import part_file, write_part_files
from localcloud.up.welcome import welcome

PORTS = Ports(servicebus=20001, azureml=20002, eventgrid=20003, identity=20004, functions=20005)
WEBHOOK = "http://127.0.0.1:9/hook"
#: Nobody is there to agree to a subscription.
NOBODY = {"name": "promotions", "webhooks": [WEBHOOK]}


def describe(*topics: Any) -> Description:
    content = {
        "registry": "contoso-ml",
        "environments": {"dev": {"subscription": "s", "resource_group": "rg", "workspace": "ws-dev"}},
        "topics": list(topics),
        "app": {"settings": {"TOPIC": "{topic_promotions}", "KEY": "{topic_key_promotions}"}},
    }
    return Description.model_validate(content)


def lay_out(description: Description, folder: Path) -> Layout:
    names = [topic.name for topic in description.topics]
    secrets = keep_secrets(folder / "secrets.json", description.environments, topics=names)
    layout = Layout(description, PORTS, secrets, folder)
    write_part_files(layout)
    return layout


def test_the_app_gets_the_address_and_the_key_of_its_topic(tmp_path: Path) -> None:
    layout = lay_out(describe("promotions"), tmp_path)
    configuration = read_configuration(part_file(layout, "eventgrid"), EventGridConfiguration)
    (topic,) = [topic for topic in configuration.topics if topic.name == "promotions"]
    assert layout.app_settings()["TOPIC"] == "http://127.0.0.1:20003/topics/promotions/api/events"
    assert layout.app_settings()["KEY"] == topic.key
    assert layout.addresses({})["eventgrid"]["own_topics"] == layout.own_topics
    assert keep_secrets(tmp_path / "secrets.json", ["dev"]).own_topic_keys == {"promotions": topic.key}


def test_a_webhook_subscribes_to_cloud_events(tmp_path: Path) -> None:
    layout = lay_out(describe(NOBODY), tmp_path)
    (subscription,) = read_configuration(part_file(layout, "eventgrid"), EventGridConfiguration).subscriptions
    assert (subscription.topic, subscription.endpoint) == ("promotions", WEBHOOK)
    assert subscription.schema_ is Schema.CLOUD_EVENTS


def test_who_starts_the_cloud_is_told_who_subscribes_and_how_to(tmp_path: Path) -> None:
    alone = welcome(lay_out(describe("promotions"), tmp_path), 80)
    assert "http://127.0.0.1:20003/topics/promotions/api/events" in alone
    assert "webhooks: [http://127.0.0.1:PORT/]" in alone
    assert f"subscriber {WEBHOOK}" in " ".join(welcome(lay_out(describe(NOBODY), tmp_path), 80).split())


def test_who_starts_the_cloud_gets_the_hints_of_its_description(tmp_path: Path) -> None:
    description = describe("promotions").model_copy(update={"hints": ("Ask it with curl.", "Or with a browser.")})
    assert welcome(lay_out(description, tmp_path), 80).endswith("\nAsk it with curl.\nOr with a browser.\n")


def test_hints_name_the_folder_unless_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hint = "Look: tool list{--local}, or python -m submit{--data} FILE."
    description = describe("promotions").model_copy(update={"hints": (hint,)})
    for folder in (".local", "my cloud"):
        (tmp_path / folder).mkdir()
    usual = welcome(lay_out(description, tmp_path / ".local"), 200)
    assert usual.endswith("\nLook: tool list, or python -m submit FILE.\n")
    assert "--data" not in usual
    other = welcome(lay_out(description, tmp_path / "my cloud"), 200)
    assert other.endswith("\nLook: tool list --local 'my cloud', or python -m submit --data 'my cloud' FILE.\n")
    monkeypatch.chdir(tmp_path / "my cloud")
    elsewhere = welcome(lay_out(description, tmp_path), 200)
    assert " ".join(elsewhere.split()).endswith(f"python -m submit --data {tmp_path} FILE.")


@pytest.mark.parametrize("topics", [["promotions", "promotions"], ["ws-dev"]])
def test_a_topic_needs_a_name_of_its_own(topics: list[str]) -> None:
    with pytest.raises(ValidationError, match="topics: names must be unique"):
        describe(*topics)


async def test_the_start_does_not_wait_for_subscribers(tmp_path: Path) -> None:
    description = describe(NOBODY).model_copy(update={"app": None})
    async with LocalCloud(description, tmp_path / "data") as cloud:
        assert cloud.addresses["eventgrid"]["own_topics"]["promotions"]
