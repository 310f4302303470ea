"""Every Bicep file can be read, is used, and says what its parameters are for; nothing in it is a secret."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.config.azure_names import ENVIRONMENT
from shared.config.platform import PUBLISHER
from shared.http.authorisation import OPERATOR, READER
from tests.functions.conftest import APPROVER
from tests.infra.bicep import declarations, default_of, named, parsed, text_of, walk
from tests.infra.shapes import INFRA, REPOSITORY, deployed, every_shape, settings, workspace

FILES = sorted(INFRA.glob("*.bicep"))
DEPLOYED_ALONE = ("main.bicep", "events.bicep")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_can_be_read(file: Path) -> None:
    assert parsed(file).children


def test_every_file_is_used() -> None:
    texts = [text_of(node).strip("'") for file in FILES for node in walk(parsed(file)) if node.type == "string"]
    assert {file.name for file in FILES} - set(texts) == set(DEPLOYED_ALONE)


@pytest.mark.parametrize("file", DEPLOYED_ALONE)
def test_every_parameter_for_people_is_described(file: str) -> None:
    for name, node in declarations(INFRA / file, "parameter").items():
        above = node.prev_sibling
        assert above is not None, name
        assert "@description(" in text_of(above), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_may_not_be_made_is_used_with_an_exclamation_mark(file: Path) -> None:
    """Bicep warns otherwise (BCP318)."""
    may_be_missing = {
        name
        for kind in ("resource", "module")
        for name, node in declarations(file, kind).items()
        if node.children[-1].type == "if_statement"
    }
    for node in walk(parsed(file)):
        if node.type == "member_expression" and text_of(named(node)[0]) in may_be_missing:
            assert any(child.type in ("!", ".?") for child in node.children), text_of(node)


def test_azd_gives_the_parameters_that_are_needed_and_no_others() -> None:
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    known = declarations(INFRA / "main.bicep", "parameter")
    needed = {name for name, node in known.items() if default_of(node) is None}
    assert needed <= set(given) <= set(known)


def test_the_subscriptions_are_given_the_parameters_that_they_need_out_of_the_outputs() -> None:
    script = (INFRA / "subscribe.sh").read_text()
    given = dict(re.findall(r"(\w+)=\"\$(\w+)\"", script))
    # The address with its key is not an output: a request returns it, and a file carries it.
    assert set(given) | {"webhook"} == set(declarations(INFRA / "events.bicep", "parameter"))
    assert set(given.values()) <= set(declarations(INFRA / "main.bicep", "output"))


def test_azd_finds_what_it_deploys() -> None:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "azure.yaml").read_text())
    (service,) = content["services"]
    assert f"'azd-service-name': '{service}'" in (INFRA / "app.bicep").read_text()
    hook = REPOSITORY / content["services"][service]["hooks"]["postdeploy"]["run"]
    assert hook.stat().st_mode & 0o100


def test_no_key_is_accepted_and_none_is_in_a_setting() -> None:
    for made in every_shape():
        for name, value in settings(made).items():
            assert not re.search(r"key|password|secret|SharedAccess", f"{name}={value}", re.IGNORECASE), name
        switches = {
            "Microsoft.Storage/storageAccounts": ("allowSharedKeyAccess", False),
            "Microsoft.ServiceBus/namespaces": ("disableLocalAuth", True),
            "Microsoft.EventGrid/topics": ("disableLocalAuth", True),
            "Microsoft.Insights/components": ("DisableLocalAuth", True),
            "Microsoft.Web/sites/basicPublishingCredentialsPolicies": ("allow", False),
        }
        for resource in made.resources:
            if resource.type in switches:
                name, value = switches[resource.type]
                assert resource.properties[name] is value, resource.id
    assert not any("listKeys" in file.read_text() for file in FILES)


def test_the_app_roles_are_those_that_the_app_asks_for() -> None:
    roles = json.loads((INFRA / "app-roles.json").read_text())
    assert {role["value"] for role in roles} == {READER, OPERATOR, APPROVER, PUBLISHER}
    assert len({role["id"] for role in roles}) == len(roles)


def test_the_longest_names_of_environments_can_be_deployed() -> None:
    name = "e" * ENVIRONMENT.longest
    environments = [{"name": name, "workspace": workspace("dev"), "source": True}]
    made = deployed(environments=environments)
    assert settings(made)[f"{name.upper()}_WORKSPACE"] == workspace("dev")
