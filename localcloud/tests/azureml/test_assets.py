"""Models, environments, components, data and code in a workspace, through the SDK."""

from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, dsl
from azure.ai.ml.entities import CommandComponent, Data, Environment, Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from .conftest import ControlPlane, Greeting, workspace_id

UNUSUAL = "Modèl ü+%&=@ #1"
UNUSUAL_VERSION = "1.0-rc+1 (a)"


def test_a_model_is_uploaded_found_and_downloaded(cloud: ControlPlane, greeting: Greeting, tmp_path: Path) -> None:
    client = cloud.client()
    model = client.models.create_or_update(Model(name="iris", version="1", path=greeting("hi"), tags={"a": "b"}))
    found = client.models.get("iris", "1")
    assert (found.id, found.path, found.tags) == (model.id, model.path, {"a": "b"})
    assert found.creation_context.created_by == "ann"
    client.models.download("iris", "1", download_path=tmp_path / "down")
    assert next((tmp_path / "down").rglob("greeting.txt")).read_text() == "hi"


def test_versions_are_counted_and_the_latest_is_found(cloud: ControlPlane, greeting: Greeting) -> None:
    client = cloud.client()
    versions = [client.models.create_or_update(Model(name="counted", path=greeting(str(n)))).version for n in range(3)]
    assert versions == ["1", "2", "3"]
    assert client.models.get("counted", label="latest").version == "3"
    assert [model.version for model in client.models.list("counted")] == ["1", "2", "3"]


def test_what_is_archived_is_not_listed(cloud: ControlPlane, greeting: Greeting) -> None:
    client = cloud.client()
    for version in ("1", "2"):
        client.models.create_or_update(Model(name="old", version=version, path=greeting(version)))
    client.models.archive("old", "1")
    assert [model.version for model in client.models.list("old")] == ["2"]
    client.models.restore("old", "1")
    assert len(list(client.models.list("old"))) == 2
    client.models.archive("old")
    assert "old" not in [model.name for model in client.models.list()]


def test_a_version_cannot_get_other_content(cloud: ControlPlane, greeting: Greeting) -> None:
    client = cloud.client()
    client.models.create_or_update(Model(name="fixed", version="1", path=greeting("one")))
    client.models.create_or_update(Model(name="fixed", version="1", path=greeting("one"), tags={"new": "tag"}))
    assert client.models.get("fixed", "1").tags == {"new": "tag"}
    path = f"{workspace_id('ws-dev')}/models/fixed/versions/1"
    other = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/other"}}
    refused = cloud.call("PUT", path, json=other)
    assert refused.status_code == 409
    assert "The model fixed with the version 1 already exists in ws-dev" in refused.json()["error"]["message"]


def test_unusual_names_and_versions_are_kept_as_they_are(cloud: ControlPlane, greeting: Greeting) -> None:
    client = cloud.client()
    client.models.create_or_update(Model(name=UNUSUAL, version=UNUSUAL_VERSION, path=greeting("x")))
    found = client.models.get(UNUSUAL, UNUSUAL_VERSION)
    assert (found.name, found.version) == (UNUSUAL, UNUSUAL_VERSION)
    assert [model.version for model in client.models.list(UNUSUAL)] == [UNUSUAL_VERSION]


def test_what_is_missing_is_not_found(cloud: ControlPlane) -> None:
    with pytest.raises(ResourceNotFoundError, match=r"models/nobody/versions/1 in ws-dev was not found"):
        cloud.client().models.get("nobody", "1")
    assert cloud.call("GET", workspace_id("ws-dev").replace("ws-dev", "ws-none")).status_code == 404


def test_environments_components_and_data_are_kept(cloud: ControlPlane, tmp_path: Path) -> None:
    client = cloud.client()
    client.environments.create_or_update(Environment(name="inference", version="1", image="image"))
    assert client.environments.get("inference", "1").image == "image"
    client.components.create_or_update(
        CommandComponent(name="train", version="1", command="echo", environment="azureml:inference:1")
    )
    assert client.components.get("train", "1").command == "echo"
    (tmp_path / "rows.csv").write_text("1,2")
    client.data.create_or_update(Data(name="rows", version="1", path=str(tmp_path / "rows.csv"), type="uri_file"))
    assert client.data.get("rows", "1").path.endswith("rows.csv")


def test_a_model_of_a_job_that_does_not_exist_is_refused(cloud: ControlPlane) -> None:
    model = Model(name="orphan", version="1", path="azureml://jobs/nobody/outputs/model")
    with pytest.raises(HttpResponseError, match="Job nobody was not found in ws-dev"):
        cloud.client().models.create_or_update(model)


@pytest.mark.parametrize("body", ["{", "[]", '{"properties": []}'])
def test_a_malformed_body_is_refused_in_words(cloud: ControlPlane, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    path = f"{workspace_id('ws-dev')}/models/malformed/versions/1"
    answer = cloud.call("PUT", path, data=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("models/odd/versions/1", {"properties": {"tags": ["risk"]}}, "properties.tags must be"),
        ("models/odd/versions/1", {"properties": {"properties": 5}}, "properties.properties must be"),
        ("jobs/odd", {"properties": {"jobType": "Command", "inputs": {"rows": 5}}}, "properties.inputs.rows must be"),
        ("jobs/odd", {"properties": {"jobType": "Pipeline", "jobs": {"train": []}}}, "properties.jobs.train must be"),
        ("onlineEndpoints/odd", {"tags": 5}, "tags must be"),
        ("onlineEndpoints/odd/deployments/blue", {"sku": 5}, "sku must be"),
        ("onlineEndpoints/odd/deployments/blue", {"sku": {"capacity": 0}}, "whole number from 1"),
        (
            "onlineEndpoints/odd/deployments/blue",
            {"properties": {"codeConfiguration": "x"}},
            "codeConfiguration",
        ),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_with_its_place(
    cloud: ControlPlane, path: str, body: dict[str, Any], words: str
) -> None:
    answer = cloud.call("PUT", f"{workspace_id('ws-dev')}/{path}", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_models_are_listed_by_stage(cloud: ControlPlane, greeting: Greeting) -> None:
    client = cloud.client()
    for version, stage in (("1", "Production"), ("2", "Development")):
        client.models.create_or_update(Model(name="staged", version=version, path=greeting(version), stage=stage))
    assert [model.version for model in client.models.list("staged", stage="Production")] == ["1"]


def test_what_is_not_served_is_refused_in_azures_shape(cloud: ControlPlane) -> None:
    answer = cloud.call("GET", f"{workspace_id('ws-dev')}/featuresets")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")
    answer = cloud.call("DELETE", workspace_id("ws-dev"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "MethodNotAllowed")


def component(**changes: Any) -> CommandComponent:
    settings = {"name": "kept", "version": "1", "command": "echo 1", "environment": "azureml:AzureML-sklearn:1"}
    return CommandComponent(**{**settings, **changes})


def test_a_component_is_kept_in_the_form_of_the_service(cloud: ControlPlane) -> None:
    inputs = {"rows": Input(type="integer", default=3), "table": Input(type="uri_file", optional=True)}
    inputs["where"] = Input(type="string", default="azureml:cpu")
    cloud.client().components.create_or_update(component(inputs=inputs))
    answer = cloud.call("GET", f"{workspace_id('ws-dev')}/components/kept/versions/1").json()
    specification = answer["properties"]["componentSpec"]
    assert specification["inputs"] == {
        "rows": {"type": "integer", "default": "3", "optional": "False"},
        "table": {"type": "uri_file", "optional": "True"},
        "where": {"type": "string", "default": "cpu", "optional": "False"},
    }
    assert (specification["resources"], specification["is_deterministic"]) == ({"instance_count": "1"}, "True")
    assert specification["environment"] == "azureml://registries/azureml/environments/AzureML-sklearn/versions/1"
    assert "_source" not in specification


def test_what_describes_a_component_can_be_changed_and_what_it_does_cannot(cloud: ControlPlane) -> None:
    client = cloud.client()
    client.components.create_or_update(component(name="described"))
    changed = component(name="described", description="echoes", display_name="Echo", tags={"owner": "ann"})
    client.components.create_or_update(changed)
    found = client.components.get("described", "1")
    assert (found.description, found.display_name, found.tags) == ("echoes", "Echo", {"owner": "ann"})
    words = 'Failed to update component described since field "command" is immutable'
    with pytest.raises(HttpResponseError, match=words) as refused:
        client.components.create_or_update(component(name="described", command="echo 2"))
    assert refused.value.status_code == 400


def test_two_pipelines_have_the_same_inline_component_under_different_names(cloud: ControlPlane) -> None:
    client = cloud.client()

    def submitted(name: str) -> str:
        inline = component(name=name)

        @dsl.pipeline(None, compute="cpu")
        def pipeline() -> None:
            inline()

        (step,) = client.jobs.create_or_update(pipeline()).jobs.values()
        return str(step.component)

    first = submitted("first")
    assert submitted("second") != first
    assert submitted("first") == first


def test_an_anonymous_component_is_one_for_each_content(cloud: ControlPlane) -> None:
    path = f"{workspace_id('ws-dev')}/components/azureml_anonymous/versions"

    def made(version: str, command: str) -> str:
        specification = {"name": "azureml_anonymous", "version": "1", "type": "command", "command": command}
        body = {"properties": {"isAnonymous": True, "componentSpec": specification}}
        answer = cloud.call("PUT", f"{path}/{version}", json=body)
        assert answer.status_code == 201
        assert answer.json()["properties"]["componentSpec"]["version"] == answer.json()["name"]
        return str(answer.json()["name"])

    assert made("a", "echo 1") == made("b", "echo 1")
    assert made("a", "echo 1") != made("a", "echo 2")


def test_code_that_is_there_already_is_found_by_its_hash_under_whatever_name(
    cloud: ControlPlane, tmp_path: Path
) -> None:
    client = cloud.client()
    (tmp_path / "run.py").write_text("print('the same in both')")
    codes = [
        client.components.create_or_update(component(name=name, code=str(tmp_path))).code
        for name in ("with_code", "with_the_same_code")
    ]
    assert codes[0] == codes[1]


@pytest.mark.parametrize("label", ["default", "latest"])
def test_a_label_stands_for_the_version_that_was_made_last(cloud: ControlPlane, label: str) -> None:
    client = cloud.client()
    for version in ("1", "2"):
        client.components.create_or_update(component(name=f"labelled_{label}", version=version))
    assert client.components.get(f"labelled_{label}", label=label).version == "2"
    path = f"{workspace_id('ws-dev')}/components/labelled_{label}/labels/{label}"
    answer = cloud.call("GET", path).json()
    assert (answer["name"], answer["id"]) == ("2", path)


def test_the_path_of_a_folder_of_data_ends_with_a_slash(cloud: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "1.csv").write_text("1")
    client = cloud.client()
    folder = client.data.create_or_update(Data(name="rows-folder", path=str(tmp_path / "rows"), type="uri_folder"))
    file = client.data.create_or_update(Data(name="rows-file", path=str(tmp_path / "rows" / "1.csv"), type="uri_file"))
    assert folder.path.startswith("azureml://subscriptions/")
    assert folder.path.endswith("/rows/")
    assert file.path.endswith("/1.csv")
