"""docs/parts.md and `--help` show configurations that the parts accept, and the page leaves out no key."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from localcloud.azureml import configuration as azureml
from localcloud.azureml.faults import Fault
from localcloud.configuration_file import Section, check_configuration
from localcloud.eventgrid import configuration as eventgrid
from localcloud.identity import configuration as identity
from localcloud.servicebus import config as servicebus
from localcloud.up.description import Description, Environment

PAGE = (Path(__file__).parents[1] / "docs" / "parts.md").read_text(encoding="utf-8")

FORMS: list[tuple[str, type[Section]]] = [
    (azureml.EXAMPLE, azureml.Settings),
    (eventgrid.EXAMPLE, eventgrid.EventGridConfiguration),
    (identity.EXAMPLE, identity.IdentityConfiguration),
]


@pytest.mark.parametrize(("example", "form"), FORMS)
def test_the_example_is_accepted_and_the_page_shows_it(example: str, form: type[Section]) -> None:
    check_configuration(yaml.safe_load(example), form, "example")
    assert example in PAGE


def test_the_example_of_service_bus_is_accepted_and_the_page_shows_it(tmp_path: Path) -> None:
    (tmp_path / "Config.json").write_text(servicebus.EXAMPLE)
    assert [queue.name for queue in servicebus.read_config(tmp_path / "Config.json")] == ["orders"]
    assert servicebus.EXAMPLE in PAGE


@pytest.mark.parametrize(
    "form",
    [
        azureml.Settings,
        azureml.WorkspaceSettings,
        azureml.TopicSettings,
        azureml.RegistrySettings,
        azureml.RoleAssignment,
        azureml.CustomRole,
        azureml.MetricsSettings,
        azureml.QuotaSettings,
        Fault,
        eventgrid.EventGridConfiguration,
        eventgrid.Topic,
        eventgrid.Subscription,
        identity.IdentityConfiguration,
        identity.Identity,
        Description,
        Environment,
    ],
)
def test_the_page_names_every_key(form: type[BaseModel]) -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert {field.alias or name for name, field in form.model_fields.items()} <= named


def test_the_page_names_every_property_of_a_queue() -> None:
    assert all(name in PAGE for name in servicebus.PROPERTIES)


def test_the_page_shows_a_description_that_is_accepted() -> None:
    (example,) = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "environments:" in block]
    check_configuration(yaml.safe_load(example), Description, "example")
