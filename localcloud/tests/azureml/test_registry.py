"""The registry: sharing by the SDK, and the import behind it with its long-running protocol."""

from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import CommandComponent, Environment, Model
from azure.ai.ml.exceptions import ValidationException

from .conftest import ControlPlane, Greeting, Plane, until, workspace_id

REGISTRY = (
    "/mferp/managementfrontend/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/registries"
    "/providers/Microsoft.MachineLearningServices/registries/contoso-ml"
)


def start_import(plane: ControlPlane, name: str, version: str, **changes: Any) -> requests.Response:
    guid = plane.call("GET", workspace_id("ws-dev")).json()["properties"]["workspaceId"]
    wanted = {
        "sourceAssetId": f"azureml://locations/westeurope/workspaces/{guid}/models/{name}/versions/{version}",
        "destinationName": name,
        "destinationVersion": version,
        **changes,
    }
    return plane.call("POST", f"{REGISTRY}/import", json={"properties": wanted})


def await_import(plane: ControlPlane, location: str) -> None:
    until(lambda: plane.call("GET", location).status_code == 204)


def test_a_shared_model_is_a_copy_that_tells_its_origin(
    cloud: ControlPlane, greeting: Greeting, tmp_path: Path
) -> None:
    client = cloud.client()
    client.models.create_or_update(Model(name="shared", version="7", path=greeting("hi"), tags={"promote": "true"}))
    shared = client.models.share(
        "shared", "7", share_with_name="shared", share_with_version="7", registry_name="contoso-ml"
    )
    assert shared.id == "azureml://registries/contoso-ml/models/shared/versions/7"
    raw = cloud.call("GET", f"{REGISTRY}/models/shared/versions/7").json()["properties"]
    assert raw["originAssetId"].endswith("/models/shared/versions/7")
    assert raw.get("jobName") is None
    assert raw["tags"] == {"promote": "true"}
    registry = cloud.registry()
    assert [model.version for model in registry.models.list("shared")] == ["7"]
    registry.models.download("shared", "7", download_path=tmp_path / "down")
    assert next((tmp_path / "down").rglob("greeting.txt")).read_text() == "hi"
    with pytest.raises(ValidationException, match="already exists in registry"):
        client.models.share("shared", "7", share_with_name="shared", share_with_version="7", registry_name="contoso-ml")


def test_import_answers_202_until_it_is_done_and_then_204(cloud: ControlPlane, greeting: Greeting) -> None:
    name, version = "Modèl+ &=@ 2", "1.0 rc+1"  # the SDK does not escape # and ? for a registry
    cloud.client().models.create_or_update(Model(name=name, version=version, path=greeting("hi")))
    started = start_import(cloud, name, version)
    assert (started.status_code, started.json()) == (202, None)
    assert "Azure-AsyncOperation" not in started.headers
    assert cloud.call("GET", started.headers["Location"]).status_code == 202
    until(lambda: cloud.call("GET", started.headers["Location"]).status_code == 204)
    assert cloud.registry().models.get(name, version).version == version


def test_the_same_import_again_changes_nothing_and_another_origin_is_a_conflict(
    cloud: ControlPlane, greeting: Greeting
) -> None:
    for version in ("1", "2"):
        cloud.client().models.create_or_update(Model(name="again", version=version, path=greeting(version)))
    for _ in range(2):
        location = start_import(cloud, "again", "1").headers["Location"]
        await_import(cloud, location)
    other = start_import(cloud, "again", "2", destinationVersion="1")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "Conflict")


def test_import_of_what_is_not_there_fails(cloud: ControlPlane) -> None:
    assert start_import(cloud, "nobody", "1").status_code == 404
    assert start_import(cloud, "x", "1", sourceAssetId="azureml:x:1").status_code == 400
    gone = Model(name="gone", version="1", path="azureml://datastores/workspaceblobstore/paths/gone")
    cloud.client().models.create_or_update(gone)
    location = start_import(cloud, "gone", "1").headers["Location"]
    until(lambda: cloud.call("GET", location).status_code != 202)
    answer = cloud.call("GET", location)
    assert answer.status_code == 400
    assert "There are no files at" in answer.json()["error"]["message"]
    assert cloud.call("GET", f"{REGISTRY}/models/gone/versions/1").status_code == 404


def test_environments_are_shared_and_components_and_models_created_in_the_registry(
    cloud: ControlPlane, greeting: Greeting
) -> None:
    client = cloud.client()
    client.environments.create_or_update(Environment(name="shared-environment", version="1", image="image"))
    environment = client.environments.share(
        "shared-environment",
        "1",
        share_with_name="shared-environment",
        share_with_version="1",
        registry_name="contoso-ml",
    )
    registry = cloud.registry()
    component = CommandComponent(name="train", version="1", command="echo", environment=environment.id)
    registry.components.create_or_update(component)
    assert registry.components.get("train", "1").command == "echo"
    registry.models.create_or_update(Model(name="direct", version="1", path=greeting("direct")))
    assert registry.models.get("direct", "1").path.startswith("https://")


@pytest.mark.parametrize(
    ("name", "specification", "words"),
    [
        ("azureml_anonymous", {"type": "command", "command": "true"}, "with a name only"),
        ("of-workspace", {"type": "command", "code": f"azureml:{workspace_id('ws-dev')}/codes/c/versions/1"}, "code"),
        ("of-workspace", {"environment": f"{workspace_id('ws-dev')}/environments/e/versions/1"}, "environment"),
        (
            "of-workspace",
            {
                "type": "pipeline",
                "jobs": {"first": {"componentId": f"{workspace_id('ws-dev')}/components/c/versions/1"}},
            },
            "componentId of the step first",
        ),
    ],
)
def test_a_registry_takes_components_that_have_a_name_and_refer_to_registries_only(
    cloud: ControlPlane, name: str, specification: dict[str, Any], words: str
) -> None:
    body = {"properties": {"componentSpec": specification}}
    answer = cloud.call("PUT", f"{REGISTRY}/components/{name}/versions/1", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert cloud.call("GET", f"{REGISTRY}/components/{name}/versions/1").status_code == 404


def test_a_component_is_not_copied_into_a_registry(cloud: ControlPlane) -> None:
    path = f"{workspace_id('ws-dev')}/components/stays/versions/1"
    body = {"properties": {"componentSpec": {"type": "command", "command": "true"}}}
    cloud.call("PUT", path, json=body).raise_for_status()
    guid = cloud.call("GET", workspace_id("ws-dev")).json()["properties"]["workspaceId"]
    source = f"azureml://locations/westeurope/workspaces/{guid}/components/stays/versions/1"
    refused = start_import(cloud, "stays", "1", sourceAssetId=source)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "UserError")


def test_unknown_registry_is_not_found(cloud: ControlPlane) -> None:
    answer = cloud.call("GET", "/registrymanagement/v1.0/registries/nobody/discovery")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RegistryNotFound")


def test_a_registry_is_used_only_in_the_regions_that_it_is_replicated_to(plane: Plane) -> None:
    workspaces = [
        {"id": workspace_id("ws-dev"), "location": "westeurope"},
        {"id": workspace_id("ws-test"), "location": "northeurope"},
    ]
    one = plane(workspaces=workspaces, registries=[{"name": "contoso-ml", "regions": ["uksouth"]}])
    discovery = one.call("GET", "/registrymanagement/v1.0/registries/contoso-ml/discovery").json()
    assert discovery["regions"] == ["westeurope", "uksouth"]
    environment = "azureml://registries/contoso-ml/environments/training/versions/1"
    path = f"{REGISTRY}/environments/training/versions/1"
    one.call("PUT", path, json={"properties": {"image": "image"}}).raise_for_status()
    body = {"properties": {"jobType": "Command", "command": "true", "environmentId": environment}}
    assert one.call("PUT", f"{workspace_id('ws-dev')}/jobs/reached", json=body).status_code == 201
    refused = one.call("PUT", f"{workspace_id('ws-test')}/jobs/out-of-reach", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")
    words = "Invalid region northeurope for operation consume in registry contoso-ml."
    assert refused.json()["error"]["message"] == words


def test_a_registry_is_replicated_to_the_regions_of_all_workspaces_unless_it_is_said_otherwise(plane: Plane) -> None:
    one = plane(workspaces=[{"id": workspace_id("ws-dev"), "location": "northeurope"}])
    discovery = one.call("GET", "/registrymanagement/v1.0/registries/contoso-ml/discovery").json()
    assert (discovery["primaryRegion"], discovery["regions"]) == ("westeurope", ["westeurope", "northeurope"])
