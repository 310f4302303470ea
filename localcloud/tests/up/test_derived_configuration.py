"""From one description come files that every part's own reader accepts, and what the app and people need."""

import base64
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.azureml.configuration import read_settings
from localcloud.configuration_file import ConfigurationError, read_configuration
from localcloud.eventgrid.configuration import EventGridConfiguration
from localcloud.functions.keys import load_keys
from localcloud.identity.configuration import IdentityConfiguration
from localcloud.servicebus.config import read_config
from localcloud.servicebus.policies_file import read_policies
from localcloud.servicebus.shared_access import Policy
from localcloud.up import Description, Ports, read_description
from localcloud.up.kept_secrets import keep_secrets
from localcloud.up.layout import Layout
from localcloud.up.part_files import part_file, shared_access_file, write_part_files
from localcloud.up.welcome import welcome

SETTINGS = {
    "STORE": "{data}/store",
    "BUS": "{servicebus_connection}",
    "WORKSPACE": "{workspace_dev}",
    "CLIENT_ID": "{identity_prod-eu}",
    "CLOUD": "{azureml_cloud}",
    "JSON": "{{}}",
}
GROUP = "11111111-2222-3333-4444-555555555555"
DESCRIPTION: dict[str, Any] = {
    "registry": "contoso-ml",
    "environments": {
        "dev": {"subscription": "sub-d", "resource_group": "rg-dev", "workspace": "ws-dev"},
        "prod-eu": {"subscription": "sub-p", "resource_group": "rg-prod", "workspace": "ws-prod", "location": "eastus"},
    },
    "people": {"alice": {"roles": ["Promotion.Operator"]}, "bob": {"groups": [GROUP]}},
    "queues": ["steps-dev", {"name": "steps-prod-eu", "properties": {"LockDuration": "PT30S"}}],
    "deployment_seconds": 0.5,
    "event_subscriptions": {"function": "intake", "included_event_types": ["T"]},
    "app": {"folder": ".", "settings": SETTINGS},
}
PORTS = Ports(servicebus=20001, azureml=20002, eventgrid=20003, identity=20004, functions=20005)
WORKSPACE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    description = Description.model_validate({**DESCRIPTION, "azureml": {"python": sys.executable}})
    secrets = keep_secrets(tmp_path / "secrets.json", description.environments)
    layout = Layout(description, PORTS, secrets, tmp_path)
    write_part_files(layout)
    return layout


def test_the_queues_have_duplicate_detection_and_their_own_properties(layout: Layout) -> None:
    plain, own = read_config(part_file(layout, "servicebus"))
    assert (plain.name, plain.lock_duration, plain.max_delivery_count) == ("steps-dev", 60, 10)
    assert plain.duplicate_detection_window == 300
    assert (own.name, own.lock_duration, own.duplicate_detection_window) == ("steps-prod-eu", 30, 300)


def test_microsofts_emulator_would_take_the_queues_too(layout: Layout) -> None:
    """By the JSON Schema of its configuration (Azure/azure-service-bus-emulator-installer)."""
    content = json.loads(part_file(layout, "servicebus").read_text())["UserConfig"]
    [namespace] = content["Namespaces"]
    assert (namespace["Name"], namespace["Topics"], content["Logging"]) == ("sbemulatorns", [], {"Type": "File"})
    for queue in read_config(part_file(layout, "servicebus")):
        assert 5 <= queue.lock_duration <= 300
        assert queue.max_delivery_count is not None
        assert queue.max_delivery_count <= 10
        assert queue.duplicate_detection_window is not None
        assert 5 <= queue.duplicate_detection_window <= 300


def test_every_workspace_has_a_topic_that_delivers_to_the_app(layout: Layout) -> None:
    configuration = read_configuration(part_file(layout, "eventgrid"), EventGridConfiguration)
    assert [topic.source for topic in configuration.topics] == list(layout.workspace_ids.values())
    first, second = configuration.subscriptions
    assert (first.topic, second.topic) == ("ws-dev", "ws-prod")
    key = load_keys(layout.data / "functions" / "keys.json").system["eventgrid_extension"]
    assert first.endpoint == f"http://127.0.0.1:20005/runtime/webhooks/eventgrid?functionName=intake&code={key}"
    assert first.included_event_types == ("T",)


def test_the_workspaces_raise_their_events_at_their_topics(layout: Layout) -> None:
    settings = read_settings(part_file(layout, "azureml"))
    topics = {topic.name: topic.key for topic in read_event_grid(layout).topics}
    for workspace, name in zip(settings.workspaces, ("ws-dev", "ws-prod"), strict=True):
        assert workspace.topic is not None
        assert workspace.topic.endpoint == f"http://127.0.0.1:20003/topics/{name}/api/events"
        assert workspace.topic.key == topics[name]
    assert settings.deployment_seconds == 0.5


def test_an_environment_works_in_its_workspace_and_only_the_first_writes_to_the_registry(layout: Layout) -> None:
    settings = read_settings(part_file(layout, "azureml"))
    names = {one.client_id: one.name for one in read_identities(layout).identities}
    roles = {(names[one.principal], one.role, one.scope) for one in settings.role_assignments or []}
    dev, prod = WORKSPACE.format("sub-d", "rg-dev", "ws-dev"), WORKSPACE.format("sub-p", "rg-prod", "ws-prod")
    assert roles == {
        ("dev", "AzureML Data Scientist", dev),
        ("dev", "Monitoring Reader", dev),
        ("dev", "Reader", dev),
        ("dev", "Reader", "registries/contoso-ml"),
        ("dev", "AzureML Registry User", "registries/contoso-ml"),
        ("prod-eu", "AzureML Data Scientist", prod),
        ("prod-eu", "Monitoring Reader", prod),
        ("prod-eu", "Reader", prod),
        ("prod-eu", "Reader", "registries/contoso-ml"),
        ("alice", "Contributor", dev),
        ("alice", "Contributor", prod),
        ("alice", "Contributor", "registries/contoso-ml"),
        ("bob", "Contributor", dev),
        ("bob", "Contributor", prod),
        ("bob", "Contributor", "registries/contoso-ml"),
    }


def test_the_app_finds_its_settings_in_the_environment(layout: Layout) -> None:
    settings = layout.app_settings()
    assert settings["WORKSPACE"] == WORKSPACE.format("sub-d", "rg-dev", "ws-dev")
    assert settings["CLIENT_ID"] == layout.client_ids["prod-eu"]
    assert settings["BUS"] == layout.connection_string
    assert settings["STORE"] == f"{layout.data}/store"
    assert settings["JSON"] == "{}"
    assert json.loads(settings["CLOUD"])["resource_manager"] == "https://localhost:20002"
    assert settings["IDENTITY_HEADER"] == read_identities(layout).header


def test_the_app_gets_no_setting_that_the_description_does_not_name_but_for_those_of_platform_and_sdks(
    layout: Layout,
) -> None:
    platform = {"IDENTITY_ENDPOINT", "IDENTITY_HEADER"}
    trust = {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    assert layout.app_settings().keys() == SETTINGS.keys() | platform | trust


def test_each_shared_access_policy_has_a_connection_string_and_is_told_to_service_bus(layout: Layout) -> None:
    policy = {"listen": ["jobs"], "send": ["outcomes"]}
    settings = {"WORKER": "{servicebus_connection_worker}"}
    app = {**DESCRIPTION["app"], "settings": settings}
    content = {**DESCRIPTION, "shared_access": {"worker": policy}, "app": app}
    secrets = keep_secrets(layout.data / "secrets.json", ["dev", "prod-eu"], shared_access=["worker"])
    guarded = replace(layout, description=Description.model_validate(content), secrets=secrets)
    write_part_files(guarded)
    root, worker = read_policies(shared_access_file(guarded))
    assert (root.listen, root.send) == (("*",), ("*",))
    assert f"SharedAccessKeyName={root.name};SharedAccessKey={root.key};" in guarded.connection_string
    assert worker == Policy("worker", secrets.shared_access_keys["worker"], ("jobs",), ("outcomes",))
    assert f"SharedAccessKeyName=worker;SharedAccessKey={worker.key};" in guarded.app_settings()["WORKER"]


def test_people_have_an_identity_each_and_roles_and_groups_in_the_app(layout: Layout) -> None:
    [app] = read_identities(layout).applications
    assert app.roles == {"alice": ("Promotion.Operator",), "bob": ()}
    assert app.groups == {"alice": (), "bob": (GROUP,)}
    told = layout.addresses({})
    assert told["sign_in"]["resource"] == f"api://{app.client_id}"
    by_name = {each.name: each for each in read_identities(layout).identities}
    assert told["people"]["alice"] == {
        "client_id": by_name["alice"].client_id,
        "id": by_name["alice"].principal_id,
        "roles": ["Promotion.Operator"],
    }


def test_the_app_can_be_told_whose_tokens_count(layout: Layout) -> None:
    names = ("authority", "tenant", "client_id")
    app = {"settings": {name: f"{{sign_in_{name}}}" for name in names}}
    described = replace(layout, description=Description.model_validate({**DESCRIPTION, "app": app}))
    settings, told = described.app_settings(), described.addresses({})["sign_in"]
    assert {name: settings[name] for name in names} == {name: told[name] for name in names}
    assert settings["authority"] == "http://127.0.0.1:20004"


def test_who_starts_the_cloud_is_told_of_every_role_and_how_to_get_a_token(layout: Layout) -> None:
    told = welcome(layout, 80)
    for name, person in layout.people.items():
        [line] = [line for line in told.splitlines() if f"roles of {name} " in line]
        assert line.split(maxsplit=3)[3] == (", ".join(person["roles"]) or "none")
    assert f"-m localcloud token alice --data {layout.data}" in told


@pytest.mark.parametrize(("started_in", "typed"), [("project", ".venv/bin/python"), ("elsewhere", None)])
def test_the_command_for_a_token_names_the_interpreter_that_has_the_local_cloud(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started_in: str, typed: str | None
) -> None:
    python = tmp_path / "project" / ".venv" / "bin" / "python"
    folder = tmp_path / started_in
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", str(python))
    assert f"$({typed or python} -m localcloud token alice " in welcome(layout, 80)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_is_too_long_for_the_terminal_has_a_line_of_its_own_and_prose_is_wrapped(
    layout: Layout, width: int
) -> None:
    description = layout.description.model_copy(update={"hints": ("Of all that is to be told, " * 6,)})
    lines = welcome(replace(layout, description=description), width).splitlines()
    too_long = [line.strip() for line in lines if len(line) > width]
    assert layout.connection_string in too_long
    assert (WORKSPACE.format("sub-d", "rg-dev", "ws-dev") in too_long) == (width < 100)
    assert [line for line in too_long if " " in line and not line.startswith(("export ", "curl "))] == []


def test_without_people_nobody_signs_in_to_the_app(layout: Layout) -> None:
    description = Description.model_validate({**DESCRIPTION, "people": {}})
    nobody = replace(layout, description=description)
    assert nobody.people == {}
    assert "To call the app as" not in welcome(nobody, 80)


def test_an_unknown_placeholder_is_a_fault_that_names_the_known_ones(layout: Layout) -> None:
    app = {"settings": {"A": "{workspace_qa}", "B": "{"}}
    description = Description.model_validate({**DESCRIPTION, "app": app})
    with pytest.raises(ConfigurationError) as fault:
        replace(layout, description=description).app_settings()
    assert "app.settings.A: " in str(fault.value)
    assert "app.settings.B: " in str(fault.value)
    assert "workspace_dev" in str(fault.value)


def test_secrets_are_kept_for_their_owner_only_and_grow_with_the_environments(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = keep_secrets(file, ["dev"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = keep_secrets(file, ["dev", "test"])
    assert second.topic_keys["dev"] == first.topic_keys["dev"]
    assert replace(second, topic_keys=first.topic_keys) == first
    assert second.topic_keys["test"] != second.topic_keys["dev"]
    assert len(base64.b64decode(second.topic_keys["test"], validate=True)) == 32


def test_all_files_with_keys_are_readable_by_their_owner_only(layout: Layout) -> None:
    files = [
        *(layout.data / "configuration").iterdir(),
        layout.data / "functions" / "keys.json",
        layout.data / "token.key",
    ]
    assert len(files) == 7
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_description_is_read_with_its_app_beside_it(tmp_path: Path) -> None:
    (tmp_path / "localcloud.yml").write_text(yaml.safe_dump(DESCRIPTION))
    description = read_description(tmp_path / "localcloud.yml")
    assert description.app is not None
    assert description.app.folder == tmp_path


def test_all_faults_of_a_description_are_reported_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "localcloud.yml").write_text(
        yaml.safe_dump({**DESCRIPTION, "environments": {"dev": {"workspace": "ws-dev"}}, "colour": "red"})
    )
    with pytest.raises(ConfigurationError) as fault:
        read_description(tmp_path / "localcloud.yml")
    assert "environments.dev.subscription: " in str(fault.value)
    assert "environments.dev.resource_group: " in str(fault.value)
    assert "colour: " in str(fault.value)


def test_a_source_must_be_an_environment(tmp_path: Path) -> None:
    (tmp_path / "localcloud.yml").write_text(yaml.safe_dump({**DESCRIPTION, "registry_writers": ["qa"]}))
    with pytest.raises(ConfigurationError, match="registry_writers: there is no environment 'qa'"):
        read_description(tmp_path / "localcloud.yml")


def read_event_grid(layout: Layout) -> EventGridConfiguration:
    return read_configuration(part_file(layout, "eventgrid"), EventGridConfiguration)


def read_identities(layout: Layout) -> IdentityConfiguration:
    return read_configuration(part_file(layout, "identity"), IdentityConfiguration)
