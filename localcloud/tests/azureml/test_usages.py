"""Quotas: what deployments take of them, who may read that, and that nothing is deployed beyond them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from localcloud.azureml.virtual_machine_sizes import size_of

from .conftest import SUBSCRIPTIONS, ControlPlane, NewEndpoint, workspace_id

FAMILY = "Standard DSv2 Family Cluster Dedicated vCPUs"
TOTAL = "Total Cluster Dedicated Regional vCPUs"
SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTIONS['ws-test']}"
LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/locations/westeurope"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    """16 cores of DSv2 in all; `ann` may do everything, the others read usages."""
    everything = [("ann", "Contributor", scope) for scope in (SUBSCRIPTION, "registries/contoso-ml")]
    roles = [
        *everything,
        ("reader", "Reader", SUBSCRIPTION),
        ("custom", "Usages", SUBSCRIPTION),
        ("scientist", "AzureML Data Scientist", SUBSCRIPTION),
        ("workspace-reader", "Reader", workspace_id("ws-test")),
    ]
    one = ControlPlane(
        tmp_path_factory.mktemp("azureml"),
        certificates,
        role_assignments=[{"principal": who, "role": role, "scope": scope} for who, role, scope in roles],
        custom_roles=[
            {"name": "Usages", "actions": ["Microsoft.MachineLearningServices/locations/usages/read"]},
        ],
        quotas=[{"location": "northeurope", "cores": 0}, {"families": {"DSv2": 16}, "cores": 100}],
    )
    one.start()
    yield one
    one.stop()


def used(cloud: ControlPlane) -> dict[str, tuple[int, int]]:
    # azure-ai-ml 1.35 fills its entities with the names of the wire.
    listed = [vars(one) for one in cloud.client("ws-test").compute.list_usage()]
    return {one["name"]["value"]: (one["currentValue"], one["limit"]) for one in listed}


def test_deployments_fill_the_quota_and_none_goes_beyond_it(limited: ControlPlane, new_endpoint: NewEndpoint) -> None:
    assert used(limited)[FAMILY] == (0, 16)
    endpoint = new_endpoint(limited, "quotas")
    endpoint.deploy("blue", "hello")
    assert (used(limited)[FAMILY], used(limited)[TOTAL]) == ((8, 16), (8, 100))  # ceil(1.2 × 1) × 4 cores
    endpoint.begin("green", "new")
    assert used(limited)[FAMILY] == (16, 16)
    with pytest.raises(HttpResponseError, match="Not enough quota available for Standard_DS3_v2") as refused:
        endpoint.begin("red", "more")
    assert refused.value.status_code == 400
    assert "Current usage/limit: 16/16. Additional needed: 8 " in str(refused.value)
    assert "error-outofquota" in str(refused.value)
    grown = endpoint.get("blue")
    grown["sku"]["capacity"] = 2
    answer = limited.call("PUT", f"{endpoint.path}/deployments/blue", json=grown)
    (detail,) = answer.json()["error"]["details"]
    assert detail["code"] == "InferencingClientCreateDeploymentFailed"
    assert "Current usage/limit: 8/16. Additional needed: 12 " in detail["message"]
    assert limited.call("GET", f"{endpoint.path}/deployments/red").status_code == 404
    assert used(limited)[FAMILY] == (16, 16)


def test_the_sizes_tell_their_family_and_cores(limited: ControlPlane) -> None:
    sizes = {one["name"]: one for one in limited.call("GET", f"{LOCATION}/vmSizes").json()["value"]}
    assert (sizes["Standard_DS3_v2"]["family"], sizes["Standard_DS3_v2"]["vCPUs"]) == ("standardDSv2Family", 4)
    assert "Standard_F4s_v2" in {size.name for size in limited.client("ws-test").compute.list_sizes()}


@pytest.mark.parametrize(
    ("name", "family", "cores", "of_quota_for_10"),
    [
        ("Standard_DS3_v2", "DSv2", 4, 48),
        ("STANDARD_F16S_V2", "FSv2", 16, 192),
        ("Standard_E4s_v3", "ESv3", 4, 48),
        ("Standard_D2as_v4", "DASv4", 2, 24),
        ("Standard_NC4as_T4_v3", "NCASv3_T4", 4, 48),
        ("Standard_NC24ads_A100_v4", "NCADSA100v4", 24, 240),  # Azure keeps no reserve of these
    ],
)
def test_a_size_is_known_by_its_name(name: str, family: str, cores: int, of_quota_for_10: int) -> None:
    size = size_of(name)
    assert size
    assert (size.family, size.cores, size.cores_of_quota(10)) == (family, cores, of_quota_for_10)
    assert size_of("large") is None


@pytest.mark.parametrize(
    ("identity", "allowed"),
    [("reader", True), ("custom", True), ("scientist", False), ("workspace-reader", False), ("stranger", False)],
)
def test_usages_need_a_right_in_the_subscription(limited: ControlPlane, identity: str, allowed: bool) -> None:
    answer = limited.call("GET", f"{LOCATION}/usages", identity)
    assert answer.status_code == (200 if allowed else 403), answer.text
    if not allowed:
        action = "Microsoft.MachineLearningServices/locations/usages/read"
        assert f"action '{action}' over scope '{SUBSCRIPTION}'" in answer.json()["error"]["message"]
