"""Usages: what deployments take of a subscription's quota in a region, and what a further one would need.

Every family of sizes has a quota of cores, and all of them together have one too. A deployment takes the cores of its
instances, and for most sizes those of a reserve for upgrades.
"""

import json
from collections import Counter

from aiohttp import web

from localcloud.azureml.configuration import QuotaSettings
from localcloud.azureml.rights import CALLER, Rights
from localcloud.azureml.scopes import LOCATION, PROVIDER, Scope, Scopes
from localcloud.azureml.store import Resource, Store
from localcloud.azureml.virtual_machine_sizes import LISTED, Size, size_of
from localcloud.azureml.wire import AzureError, Json

_GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-outofquota"
_TOTAL = "Total Cluster Dedicated Regional vCPUs"


class Usages:
    """`GET /subscriptions/…/locations/…/usages`, and the check that a new deployment must pass."""

    def __init__(self, store: Store, scopes: Scopes, rights: Rights, quotas: list[QuotaSettings]) -> None:
        self._store = store
        self._scopes = scopes
        self._rights = rights
        self._quotas = quotas

    def routes(self) -> list[web.RouteDef]:
        return [web.get(LOCATION + "/usages", self._list), web.get(LOCATION + "/vmSizes", self._list_sizes)]

    def refuse_beyond_quota(self, workspace: Scope, path: str, instance_type: str, instances: int) -> None:
        """400 in Azure's words if the deployment at the path would take more cores than are left."""
        size = size_of(instance_type)
        if not size:
            return
        taken = self._taken(workspace.subscription, workspace.location, without=path)
        needed = size.cores_of_quota(instances)
        for used, limit in (
            (taken[size.family], self._limit(workspace.subscription, workspace.location, size.family)),
            (taken.total(), self._total_limit(workspace.subscription, workspace.location)),
        ):
            if used + needed > limit:
                raise _out_of_quota(size, workspace.subscription, used, limit, needed)

    async def _list(self, request: web.Request) -> web.Response:
        subscription, location = request.match_info["subscription"], request.match_info["location"]
        self._demand(request, "usages", location)
        taken = self._taken(subscription, location)
        families = {each.family: each for each in LISTED}
        families |= {each.family: each for each in self._sizes_in_use(subscription, location)}
        owner = f"/subscriptions/{subscription}/usages"
        total = self._total_limit(subscription, location)
        value = [_usage(owner, "dedicatedCores", _TOTAL, taken.total(), total)]
        for family, size in sorted(families.items()):
            identifier = f"{owner}/{size.quota.replace(' ', '_')}"
            limit = self._limit(subscription, location, family)
            value.append(_usage(identifier, "vmFamily", size.quota, taken[family], limit))
        return web.json_response({"value": value})

    async def _list_sizes(self, request: web.Request) -> web.Response:
        self._demand(request, "vmSizes", request.match_info["location"])
        return web.json_response(
            {
                "value": [
                    {
                        "name": size.name,
                        "family": f"standard{size.family}Family",
                        "vCPUs": size.cores,
                        "gpus": 0,
                        "memoryGB": size.memory_gib,
                        "lowPriorityCapable": True,
                        "premiumIO": "S" in size.family,
                        "supportedComputeTypes": ["AmlCompute", "ComputeInstance"],
                    }
                    for size in LISTED
                ]
            }
        )

    def _demand(self, request: web.Request, what: str, location: str) -> None:
        """403 unless the caller may read this in the subscription; a role on a workspace does not cover it."""
        subscription = Scope(f"/subscriptions/{request.match_info['subscription']}", location)
        self._rights.demand(request[CALLER], f"{PROVIDER}/locations/{what}/read", subscription)

    def _taken(self, subscription: str, location: str, without: str = "") -> Counter[str]:
        """Cores of the quota by family."""
        taken: Counter[str] = Counter()
        for deployment in self._deployments(subscription, location):
            size = _size_of_deployment(deployment)
            if size and deployment.path.lower() != without.lower():
                taken[size.family] += size.cores_of_quota(int(deployment.body["sku"]["capacity"]))
        return taken

    def _sizes_in_use(self, subscription: str, location: str) -> list[Size]:
        found = (_size_of_deployment(each) for each in self._deployments(subscription, location))
        return [size for size in found if size]

    def _deployments(self, subscription: str, location: str) -> list[Resource]:
        """Those that hold cores. One whose roll-out failed does so until it is deleted, if it had been up before."""
        return [
            deployment
            for workspace in self._scopes.workspaces
            if workspace.subscription.lower() == subscription.lower() and workspace.location.lower() == location.lower()
            for deployment in self._store.matching(f"{workspace.path.lower()}/onlineendpoints/*/deployments/*")
            if deployment.private.get("serving") or deployment.properties["provisioningState"] != "Failed"
        ]

    def _limit(self, subscription: str, location: str, family: str) -> int:
        found = self._quota(subscription, location)
        return found.families.get(family, found.cores_of_family)

    def _total_limit(self, subscription: str, location: str) -> int:
        return self._quota(subscription, location).cores

    def _quota(self, subscription: str, location: str) -> QuotaSettings:
        """The first one for the subscription and the region."""
        found = (each for each in self._quotas if each.covers(subscription, location))
        return next(found, QuotaSettings())


def _size_of_deployment(deployment: Resource) -> Size | None:
    return size_of(str(deployment.properties.get("instanceType") or ""))


def _usage(identifier: str, kind: str, name: str, used: int, limit: int) -> Json:
    return {
        "id": identifier,
        "type": f"{PROVIDER}/{kind}/usages",
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
        "name": {"value": name, "localizedValue": name},
    }


def _out_of_quota(size: Size, subscription: str, used: int, limit: int, needed: int) -> AzureError:
    words = (
        f"Not enough quota available for {size.name} in SubscriptionId {subscription}. Current usage/limit:"
        f" {used}/{limit}. Additional needed: {needed} {_GUIDE}"
    )
    fault = {"errors": {"VmSize": [words]}, "title": "One or more validation errors occurred.", "status": 400}
    detail = f"InferencingClient HttpRequest error, error detail: {json.dumps(fault)}"
    details = [{"code": "InferencingClientCreateDeploymentFailed", "message": detail}]
    return AzureError(400, "BadRequest", "The request is invalid.", details=details)
