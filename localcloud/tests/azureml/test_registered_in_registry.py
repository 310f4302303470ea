"""What registering in a registry answers, and components that are asked for without a version."""

from typing import Any

import pytest
from azure.ai.ml.entities import CommandComponent, Environment

from .conftest import ControlPlane, until
from .test_registry import REGISTRY

ASSETS = "azureml://registries/contoso-ml"


def code_uri(cloud: ControlPlane, name: str) -> str:
    """Where the files of a code asset may be put."""
    wanted = {
        "assetId": f"{ASSETS}/codes/{name}/versions/1",
        "temporaryDataReferenceType": "TemporaryBlobReference",
    }
    answer = cloud.call("PUT", f"{REGISTRY}/tempdatarefs/{name}/versions/1", json=wanted)
    answer.raise_for_status()
    return str(answer.json()["blobReferenceForConsumption"]["blobUri"])


@pytest.mark.parametrize("kind", ["environments", "components", "codes"])
def test_it_answers_202_and_its_operation_200_with_the_assets_id(cloud: ControlPlane, kind: str) -> None:
    name = f"answers-{kind}"
    of_kind: dict[str, dict[str, Any]] = {
        "environments": {"image": "image"},
        "components": {"componentSpec": {"type": "command", "name": name, "command": "true"}},
        "codes": {},
    }
    properties = {"codeUri": code_uri(cloud, name)} if kind == "codes" else of_kind[kind]
    started = cloud.call("PUT", f"{REGISTRY}/{kind}/{name}/versions/1", json={"properties": properties})
    assert (started.status_code, started.json()) == (202, None), started.text
    assert "Azure-AsyncOperation" not in started.headers
    location = started.headers["Location"]
    until(lambda: cloud.call("GET", location).status_code == 200)
    assert cloud.call("GET", location).json() == {"assetId": f"{ASSETS}/{kind}/{name}/versions/1"}
    found = cloud.call("GET", f"{REGISTRY}/{kind}/{name}/versions/1").json()
    assert found["id"] == f"{ASSETS}/{kind}/{name}/versions/1"


@pytest.mark.parametrize("place", ["workspace", "registry"])
def test_a_component_without_a_version_is_the_one_that_was_made_last(cloud: ControlPlane, place: str) -> None:
    client = cloud.client() if place == "workspace" else cloud.registry()
    environment = client.environments.create_or_update(Environment(name="unversioned", version="1", image="image"))
    for version in ("2", "1"):
        component = CommandComponent(
            name="unversioned", version=version, command=f"echo {version}", environment=environment.id
        )
        client.components.create_or_update(component)
    found = client.components.get("unversioned")
    assert (found.version, found.command) == ("1", "echo 1")
