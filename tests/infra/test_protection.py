"""Logs of the resources, recovery, and network access: parameters with safe defaults."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.deployed import Deployed, RefusedError
from tests.infra.shapes import NAMES, deployed, every_shape, of_type, subscribed, worker

ADDRESSES = ["203.0.113.7", "198.51.100.0/24"]
NETWORK = "/subscriptions/sub-net/resourceGroups/rg-net/providers/Microsoft.Network/virtualNetworks/vnet"
APP_SUBNET, NEIGHBOUR = f"{NETWORK}/subnets/app", f"{NETWORK}/subnets/prods-app"
CLOSED: Mapping[str, Any] = {
    "networkDefaultAction": "Deny",
    "allowedAddresses": ADDRESSES,
    "allowedSubnets": [NEIGHBOUR],
    "appSubnet": APP_SUBNET,
}


def logged(made: Deployed) -> dict[str, list[str]]:
    """By the type of a resource: the categories of its logs that are kept."""
    return {
        setting.body["scope"].type: [
            each.get("category") or each["categoryGroup"] for each in setting.properties["logs"]
        ]
        for setting in of_type(made, "Microsoft.Insights/diagnosticSettings")
    }


def one(made: Deployed, kind: str) -> Mapping[str, Any]:
    (found,) = of_type(made, kind)
    return found.properties


# --- logs ---


def test_every_resource_that_has_logs_sends_them_to_the_workspace_of_the_deployment() -> None:
    made = deployed()
    (workspace,) = of_type(made, "Microsoft.OperationalInsights/workspaces")
    settings = of_type(made, "Microsoft.Insights/diagnosticSettings")
    assert {setting.properties["workspaceId"] for setting in settings} == {workspace.id}
    writing = ["StorageWrite", "StorageDelete"]
    assert logged(made) == {
        "Microsoft.ServiceBus/namespaces": ["allLogs"],
        "Microsoft.EventGrid/topics": ["allLogs"],
        "Microsoft.Web/sites": ["FunctionAppLogs"],
        "Microsoft.Storage/storageAccounts/blobServices": writing,
        "Microsoft.Storage/storageAccounts/tableServices": writing,
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_alone_logs_what_it_has(name: str) -> None:
    assert set(logged(worker(name))) == {"Microsoft.Web/sites", "Microsoft.Storage/storageAccounts/blobServices"}


def test_reading_is_logged_only_where_it_is_asked_for() -> None:
    kinds = [f"Microsoft.Storage/storageAccounts/{kind}" for kind in ("blobServices", "tableServices")]
    assert all("StorageRead" in logged(deployed(diagnosesReading=True))[kind] for kind in kinds)


def test_logs_can_be_left_out() -> None:
    made = deployed(diagnostics=False)
    assert logged(made) == {}
    assert logged(subscribed(made)) == {}


def test_what_could_not_be_delivered_to_the_app_is_logged_with_the_rest() -> None:
    made = deployed()
    setting = of_type(subscribed(made), "Microsoft.Insights/diagnosticSettings")[0]
    (workspace,) = of_type(made, "Microsoft.OperationalInsights/workspaces")
    assert setting.properties["workspaceId"] == workspace.id
    assert logged(subscribed(made)) == {"Microsoft.EventGrid/systemTopics": ["DeliveryFailures"]}


# --- what can be brought back ---


def test_blobs_and_their_earlier_versions_can_be_brought_back_for_two_weeks() -> None:
    for made in every_shape():
        blobs = one(made, "Microsoft.Storage/storageAccounts/blobServices")
        assert blobs["deleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert blobs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert blobs["isVersioningEnabled"] is True


def test_no_version_stays_for_ever() -> None:
    for made in every_shape():
        (rule,) = one(made, "Microsoft.Storage/storageAccounts/managementPolicies")["policy"]["rules"]
        assert rule["definition"]["actions"] == {"version": {"delete": {"daysAfterCreationGreaterThan": 14}}}
    with pytest.raises(RefusedError, match="blobVersions needs blobRetentionDays of 1 or more"):
        deployed(blobRetentionDays=0)


def test_keeping_blobs_can_be_switched_off() -> None:
    made = deployed(blobRetentionDays=0, blobVersions=False)
    blobs = one(made, "Microsoft.Storage/storageAccounts/blobServices")
    assert blobs["deleteRetentionPolicy"] == {"enabled": False}
    assert blobs["isVersioningEnabled"] is False
    assert of_type(made, "Microsoft.Storage/storageAccounts/managementPolicies") == []


# --- the network ---


def test_by_itself_nothing_is_shut_out_so_that_a_deployment_works_without_a_network_of_ones_own() -> None:
    for made in every_shape():
        storage = one(made, "Microsoft.Storage/storageAccounts")
        assert (storage["publicNetworkAccess"], storage["networkAcls"]["defaultAction"]) == ("Enabled", "Allow")
        app = one(made, "Microsoft.Web/sites")
        assert app["virtualNetworkSubnetId"] is None
        assert app["siteConfig"]["ipSecurityRestrictionsDefaultAction"] == "Allow"
        assert app["siteConfig"]["ipSecurityRestrictions"] == []
        for topic in of_type(made, "Microsoft.EventGrid/topics"):
            assert (topic.properties["publicNetworkAccess"], topic.properties["inboundIpRules"]) == ("Enabled", [])
        assert of_type(made, "Microsoft.ServiceBus/namespaces/networkRuleSets") == []


def test_only_allowed_addresses_and_subnets_and_the_app_reach_the_storage_account() -> None:
    rules = one(deployed(**CLOSED), "Microsoft.Storage/storageAccounts")["networkAcls"]
    assert rules["defaultAction"] == "Deny"
    assert [rule["value"] for rule in rules["ipRules"]] == ADDRESSES
    assert [rule["id"] for rule in rules["virtualNetworkRules"]] == [NEIGHBOUR, APP_SUBNET]
    assert rules["bypass"] == "AzureServices", "Event Grid writes its dead letters there"


def test_event_grid_reaches_the_app_whatever_is_shut_out() -> None:
    site = one(deployed(**CLOSED), "Microsoft.Web/sites")
    assert site["virtualNetworkSubnetId"] == APP_SUBNET
    restrictions = site["siteConfig"]["ipSecurityRestrictions"]
    assert site["siteConfig"]["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert ("AzureEventGrid", "ServiceTag") in {(each.get("ipAddress"), each.get("tag")) for each in restrictions}
    assert {"203.0.113.7/32", "198.51.100.0/24"} <= {each.get("ipAddress") for each in restrictions}
    assert len({each["priority"] for each in restrictions}) == len(restrictions)


def test_only_people_and_neighbours_reach_the_apps_deployment_endpoint() -> None:
    config = one(deployed(**CLOSED), "Microsoft.Web/sites")["siteConfig"]
    assert config["scmIpSecurityRestrictionsDefaultAction"] == "Deny"
    assert not [each for each in config["scmIpSecurityRestrictions"] if each.get("tag")]


def test_service_bus_has_network_rules_in_the_tier_that_knows_them() -> None:
    assert of_type(deployed(**CLOSED), "Microsoft.ServiceBus/namespaces/networkRuleSets") == []
    made = deployed(**CLOSED, serviceBusTier="Premium")
    rules = one(made, "Microsoft.ServiceBus/namespaces/networkRuleSets")
    assert rules["defaultAction"] == "Deny"
    assert [rule["ipMask"] for rule in rules["ipRules"]] == ADDRESSES
    assert [rule["subnet"]["id"] for rule in rules["virtualNetworkRules"]] == [NEIGHBOUR, APP_SUBNET]
    assert of_type(made, "Microsoft.ServiceBus/namespaces")[0].body["sku"] == {"name": "Premium", "tier": "Premium"}


def test_without_public_access_only_private_endpoints_lead_to_what_the_app_uses() -> None:
    made = deployed(publicNetworkAccess="Disabled", appSubnet=APP_SUBNET, serviceBusTier="Premium")
    for kind in (
        "Microsoft.Storage/storageAccounts",
        "Microsoft.EventGrid/topics",
        "Microsoft.ServiceBus/namespaces/networkRuleSets",
    ):
        assert one(made, kind)["publicNetworkAccess"] == "Disabled", kind


@pytest.mark.parametrize(
    "wrong", [{"networkDefaultAction": "Deny", "allowedAddresses": ADDRESSES}, {"publicNetworkAccess": "Disabled"}]
)
def test_rules_that_would_shut_the_app_itself_out_are_refused(wrong: Mapping[str, Any]) -> None:
    for deploy in (deployed, lambda **more: worker("prod", **more)):
        with pytest.raises(RefusedError, match=r"blocks the app itself: set appSubnet \(APP_SUBNET\)"):
            deploy(**wrong)
