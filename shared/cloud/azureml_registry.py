"""Reads models of a registry and starts imports, on the registry's data plane.

Uses REST: azure-ai-ml's `models.share` blocks until the copy is complete, and is not thread-safe.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.cloud.azureml_rest import Cloud, Rest
from shared.ports import RejectedError

_DISCOVERY = "v1.0"
_DATA_PLANE = "2021-10-01-dataplanepreview"
#: How many of a model's versions one page holds.
_PAGE = "50"


@dataclass(frozen=True)
class Registry:
    """A registry, with the address of its data plane."""

    name: str
    address: str
    regions: tuple[str, ...]  #: its replicas, as Azure names regions: `westeurope`

    def reaches(self, region: str) -> bool:
        """Whether its assets can be used in the region. Also True if Azure lists no regions."""
        plain = region.replace(" ", "").lower()
        return not self.regions or plain in (each.replace(" ", "").lower() for each in self.regions)

    @property
    def scope(self) -> str:
        """The registry's ARM id."""
        return self.address[self.address.index("/subscriptions/") :]

    def model_id(self, name: str, version: str) -> str:
        """The id by which deployments in any workspace refer to the model."""
        return f"azureml://registries/{self.name}/models/{name}/versions/{version}"

    def model(self, rest: Rest, name: str, version: str) -> Mapping[str, Any] | None:
        path = f"{self.address}/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        found: Mapping[str, Any] | None = rest.get(path, **{"api-version": _DATA_PLANE})
        return found

    def data_id(self, name: str, version: str) -> str:
        """The id by which jobs in any workspace refer to the data asset."""
        return f"azureml://registries/{self.name}/data/{name}/versions/{version}"

    def data(self, rest: Rest, name: str, version: str) -> Mapping[str, Any] | None:
        path = f"{self.address}/data/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        found: Mapping[str, Any] | None = rest.get(path, **{"api-version": _DATA_PLANE})
        return found

    def model_names(self, rest: Rest) -> Iterator[str]:
        for found in _pages(rest, f"{self.address}/models"):
            yield found["name"]

    def model_versions(self, rest: Rest, name: str) -> Iterator[Mapping[str, Any]]:
        """A model's versions, the newest first."""
        path = f"{self.address}/models/{quote(name, safe='')}/versions"
        return _pages(rest, path, **{"$orderBy": "createdtime desc", "$top": _PAGE})

    def start_import(self, rest: Rest, source: str, name: str, version: str) -> None:
        """Start copying the asset with the id `source`; Azure completes it."""
        reference = {
            "referenceType": "Id",
            "sourceAssetId": source,
            "destinationName": name,
            "destinationVersion": version,
        }
        rest.post(f"{self.address}/import", {"properties": reference}, **{"api-version": _DATA_PLANE})


def _pages(rest: Rest, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
    page = rest.get(path, **query, **{"api-version": _DATA_PLANE, "listViewType": "ActiveOnly"})
    while page:
        yield from page.get("value", [])
        following = page.get("nextLink")
        page = rest.get(following) if following else None


def discover(rest: Rest, cloud: Cloud, name: str) -> Registry:
    """Look the registry up. Raises `RejectedError` if there is none with that name."""
    base = cloud.registry_discovery_endpoint.rstrip("/")
    path = f"{base}/registrymanagement/v1.0/registries/{quote(name, safe='')}/discovery"
    found = rest.get(path, **{"api-version": _DISCOVERY})
    if not found:
        raise RejectedError(f"There is no registry named {name}. Correct `registry` in promotion.yml.")
    provider = found["primaryRegionResourceProviderUri"].rstrip("/")
    scope = f"/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
    return Registry(
        name,
        f"{provider}/mferp/managementfrontend{scope}/providers/Microsoft.MachineLearningServices/registries/{name}",
        tuple(found.get("regions") or ()),
    )
