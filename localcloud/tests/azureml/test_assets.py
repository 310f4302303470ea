"""Models, environments, components, data and code in a workspace, through the SDK."""

from pathlib import Path
from typing import Any

import pytest
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
    answer = cloud.call("GET", f"{workspace_id('ws-dev')}/schedules")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")
    answer = cloud.call("DELETE", workspace_id("ws-dev"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "MethodNotAllowed")
