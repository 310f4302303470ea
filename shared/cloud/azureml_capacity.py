"""Sizes of virtual machines and quotas of a subscription in a region, by REST: azure-ai-ml's `compute.list_usage` and
`compute.list_sizes` need a client of its own for each call."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.cloud.azureml_rest import Rest
from shared.ports import MachineSize, Quota

#: The version that azure-ai-ml 1.35 asks for.
_API_VERSION = {"api-version": "2023-08-01-preview"}


def quotas(rest: Rest, workspace: str, region: str) -> Iterator[Quota]:
    """The quotas of cores for the subscription of the workspace with this ARM id."""
    for each in _pages(rest, f"{_location(workspace, region)}/usages"):
        name = each.get("name") or {}
        if isinstance(each.get("limit"), int):
            shown = str(name.get("localizedValue") or name.get("value") or "")
            yield Quota(shown, each["limit"], int(each.get("currentValue") or 0))


def size(rest: Rest, workspace: str, region: str, name: str) -> MachineSize | None:
    """The size of this name, in any casing."""
    for each in _pages(rest, f"{_location(workspace, region)}/vmSizes"):
        if str(each.get("name") or "").casefold() == name.casefold() and each.get("vCPUs"):
            return MachineSize(each["name"], str(each.get("family") or ""), int(each["vCPUs"]))
    return None


def _location(workspace: str, region: str) -> str:
    subscription = workspace.split("/")[2]
    provider = "Microsoft.MachineLearningServices"
    return f"/subscriptions/{subscription}/providers/{provider}/locations/{region.replace(' ', '').lower()}"


def _pages(rest: Rest, address: str) -> Iterator[Mapping[str, Any]]:
    page = rest.get(address, **_API_VERSION)
    while page:
        yield from page.get("value") or []
        following = page.get("nextLink")
        page = rest.get(following) if following else None
