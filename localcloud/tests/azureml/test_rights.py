"""Tokens and role assignments: who is refused, and in which words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError

from .conftest import ControlPlane, Greeting, StaticCredential, until, workspace_id
from .test_registry import REGISTRY, start_import

MODEL = f"{workspace_id('ws-dev')}/models/iris/versions/1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    """A control plane where each identity has one role; `sharer` has what the first step of a promotion needs."""
    roles = [
        ("reader", "Reader", workspace_id("ws-dev")),
        ("scientist", "AzureML Data Scientist", workspace_id("ws-dev")),
        ("owner", "Contributor", "/subscriptions/00000000-0000-0000-0000-00000000000d"),
        ("user", "AzureML Registry User", "registries/contoso-ml"),
        ("registry-reader", "Reader", "registries/contoso-ml"),
        ("sharer", "Reader", workspace_id("ws-dev")),
        ("sharer", "AzureML Registry User", "registries/contoso-ml"),
    ]
    assignments = [{"principal": principal, "role": role, "scope": scope} for principal, role, scope in roles]
    one = ControlPlane(tmp_path_factory.mktemp("azureml"), certificates, role_assignments=assignments)
    one.start()
    folder = tmp_path_factory.mktemp("model")
    (folder / "greeting.txt").write_text("hi")
    one.client(identity="scientist").models.create_or_update(Model(name="iris", version="1", path=folder))
    yield one
    one.stop()


def test_a_request_without_a_valid_token_is_a_401(guarded: ControlPlane) -> None:
    bare = guarded.session.get(guarded.base_url + MODEL, timeout=300)
    assert (bare.status_code, bare.json()["error"]["code"]) == (401, "AuthenticationFailed")
    forged = StaticCredential("owner", key="the key of somebody else, which is long too").get_token("x").token
    for token in (forged, "nonsense", b"\xff\xfe"):
        headers = {"Authorization": b"Bearer " + token if isinstance(token, bytes) else f"Bearer {token}"}
        answer = guarded.session.get(guarded.base_url + MODEL, headers=headers, timeout=300)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_a_reader_reads_and_is_refused_all_else_in_azures_words(guarded: ControlPlane, greeting: Greeting) -> None:
    client = guarded.client(identity="reader")
    assert client.models.get("iris", "1").name == "iris"
    with pytest.raises(HttpResponseError, match="AuthorizationFailed") as refused:
        client.models.create_or_update(Model(name="iris", version="2", path="azureml://datastores/x/paths/y"))
    assert refused.value.status_code == 403
    assert (
        "The client 'reader' with object id 'object-reader' does not have authorization to perform action"
        " 'Microsoft.MachineLearningServices/workspaces/models/versions/write' over scope" in str(refused.value)
    )
    assert guarded.call("POST", f"{workspace_id('ws-dev')}/datastores/x/listSecrets", "reader").status_code == 403


@pytest.mark.parametrize(
    ("identity", "method", "path", "allowed"),
    [
        ("stranger", "GET", MODEL, False),
        ("scientist", "GET", MODEL, True),
        ("scientist", "PUT", f"{workspace_id('ws-dev')}/onlineEndpoints/by-scientist", True),
        ("scientist", "GET", f"{workspace_id('ws-test')}/models", False),
        ("scientist", "POST", f"{workspace_id('ws-dev')}/computes/cpu/listKeys", False),
        ("scientist", "POST", f"{workspace_id('ws-dev')}/listKeys", False),
        ("scientist", "POST", f"{workspace_id('ws-dev')}/onlineEndpoints/by-scientist/listKeys", True),
        ("scientist", "GET", f"{REGISTRY}/models", False),
        ("owner", "GET", MODEL, True),
        ("owner", "GET", f"{workspace_id('ws-test')}/models", False),
        ("registry-reader", "GET", f"{REGISTRY}/models", True),
        ("registry-reader", "PUT", f"{REGISTRY}/environments/e/versions/1", False),
        ("user", "PUT", f"{REGISTRY}/environments/e/versions/1", True),
        ("user", "GET", MODEL, False),
        ("reader", "GET", f"/history/v1.0{workspace_id('ws-dev')}/runs/nobody", True),
        ("reader", "POST", f"/data/v1.0{workspace_id('ws-dev')}/dataversion/batchGetResolvedUris", True),
        ("reader", "PATCH", f"/history/v1.0{workspace_id('ws-dev')}/runs/nobody", False),
        ("stranger", "GET", f"/mlflow/v1.0{workspace_id('ws-dev')}/api/2.0/mlflow/runs/get?run_id=x", False),
        ("reader", "GET", f"/mlflow/v1.0{workspace_id('ws-dev')}/api/2.0/mlflow/runs/get?run_id=x", True),
        ("reader", "POST", f"/mlflow/v1.0{workspace_id('ws-dev')}/api/2.0/mlflow/runs/log-metric", False),
    ],
)
def test_rights_end_where_the_role_and_its_scope_end(
    guarded: ControlPlane, identity: str, method: str, path: str, allowed: bool
) -> None:
    body: dict[str, object] | None = {"properties": {}} if method in ("PUT", "PATCH", "POST") else None
    assert (guarded.call(method, path, identity, json=body).status_code != 403) == allowed


@pytest.mark.parametrize(
    ("identity", "status"), [("reader", 403), ("stranger", 403), ("scientist", 400), ("owner", 400)]
)
def test_a_batch_endpoint_is_invoked_by_those_who_may_make_its_jobs(
    guarded: ControlPlane, identity: str, status: int
) -> None:
    path = f"{workspace_id('ws-dev')}/batchEndpoints/invoked"
    if guarded.call("GET", path, "owner").status_code == 404:
        assert guarded.call("PUT", path, "owner", json={"properties": {}}).status_code == 201
    until(lambda: guarded.call("GET", path, "owner").json()["properties"]["provisioningState"] == "Succeeded")
    uri = guarded.call("GET", path, "reader").json()["properties"]["scoringUri"]
    # Those who may get as far as that it has no deployment.
    assert guarded.call("POST", uri, identity, json={"properties": {}}).status_code == status
    assert guarded.session.post(uri, json={}, timeout=300).status_code == 401


def test_import_needs_read_on_the_workspace_and_write_on_the_registry(guarded: ControlPlane) -> None:
    guid = guarded.call("GET", workspace_id("ws-dev"), "owner").json()["properties"]["workspaceId"]
    source = f"azureml://locations/westeurope/workspaces/{guid}/models/iris/versions/1"
    wanted = {"properties": {"sourceAssetId": source, "destinationName": "iris", "destinationVersion": "1"}}
    for identity in ("scientist", "user", "registry-reader"):
        assert guarded.call("POST", f"{REGISTRY}/import", identity, json=wanted).status_code == 403, identity
    started = guarded.call("POST", f"{REGISTRY}/import", "sharer", json=wanted)
    assert started.status_code == 202
    until(lambda: guarded.call("GET", f"{REGISTRY}/models/iris/versions/1", "sharer").status_code == 200)


def test_the_status_of_an_operation_is_read_with_a_signed_url_or_a_right_in_the_subscription(
    guarded: ControlPlane,
) -> None:
    path = f"{workspace_id('ws-dev')}/onlineEndpoints/status-rights"
    created = guarded.call("PUT", path, "scientist", json={"properties": {"authMode": "Key"}})
    signed = created.headers["Azure-AsyncOperation"]
    assert guarded.call("GET", signed, "scientist").status_code == 200
    assert guarded.call("GET", signed[:-1], "scientist").status_code == 403
    unsigned = created.json()["properties"]["properties"]["AzureAsyncOperationUri"]
    assert guarded.call("GET", unsigned, "owner").status_code == 200
    refused = guarded.call("GET", unsigned, "scientist")
    assert refused.status_code == 403
    assert (
        "action 'Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read' over scope"
        " '/subscriptions/00000000-0000-0000-0000-00000000000d'" in refused.json()["error"]["message"]
    )


def test_only_readable_workspaces_are_listed(guarded: ControlPlane) -> None:
    def listed(identity: str, workspace: str, scope: str) -> list[str | None]:
        return [found.name for found in guarded.client(workspace, identity).workspaces.list(scope=scope)]

    assert listed("reader", "ws-dev", "resource_group") == listed("reader", "ws-dev", "subscription") == ["ws-dev"]
    assert listed("reader", "ws-test", "subscription") == listed("user", "ws-dev", "subscription") == []


def test_without_assignments_everybody_may_do_everything(cloud: ControlPlane, greeting: Greeting) -> None:
    cloud.client(identity="stranger").models.create_or_update(Model(name="open", version="1", path=greeting("x")))
    assert start_import(cloud, "open", "1").status_code == 202


@pytest.mark.parametrize(
    ("identity", "scope", "actions"),
    [
        ("reader", workspace_id("ws-dev"), [["*/read"]]),
        ("owner", workspace_id("ws-dev"), [["*"]]),
        ("registry-reader", REGISTRY.removeprefix("/mferp/managementfrontend"), [["*/read"]]),
    ],
)
def test_what_an_identity_may_do_is_listed_role_by_role(
    identity: str, scope: str, actions: list[list[str]], guarded: ControlPlane
) -> None:
    address = f"{scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    listed = guarded.call("GET", address, identity).json()["value"]
    assert [each["actions"] for each in listed] == actions
    assert guarded.call("GET", address, "stranger").status_code == 403


@pytest.mark.parametrize(
    ("identity", "scope"),
    [("scientist", workspace_id("ws-dev")), ("user", REGISTRY.removeprefix("/mferp/managementfrontend"))],
)
def test_roles_of_machine_learning_do_not_cover_other_providers(
    identity: str, scope: str, guarded: ControlPlane
) -> None:
    address = f"{scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    answer = guarded.call("GET", address, identity)
    assert answer.status_code == 403
    assert "Microsoft.Authorization/permissions/read" in answer.json()["error"]["message"]
