"""Ids of Azure ML's assets: an asset has several, and people know it by its name and version."""

import re
from dataclasses import dataclass

_ASSET = re.compile(
    r"(?:(?P<scope>.*)/)?(?P<kind>models|data|components|environments|codes)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_REGISTRY = re.compile(r"azureml://registries/([^/]+)", re.I)
_WORKSPACE = re.compile(r"/workspaces/([^/]+)", re.I)

#: What the id of a registry begins with, and so do those of all that is in it.
REGISTRIES = "azureml://registries/"

#: Kinds of assets, as ids name them, in people's words.
KINDS = {
    "models": "model",
    "data": "data",
    "components": "component",
    "environments": "environment",
    "codes": "code",
}


@dataclass(frozen=True)
class AssetName:
    """What an id says."""

    kind: str  #: one of the values of `KINDS`
    name: str
    version: str
    registry: str | None = None
    workspace: str | None = None  #: its name, or its guid

    @property
    def reference(self) -> str:
        """`data:churn-sample:7`."""
        return f"{self.kind}:{self.name}:{self.version}"


def read(asset_id: str) -> AssetName | None:
    """The name in an id of the control plane, of a registry, or of a workspace (`azureml://locations/…`); None for what
    is no such id: a path, an address, a number."""
    found = _ASSET.fullmatch(plain_id(asset_id))
    if found is None:
        return None
    scope = found["scope"] or ""
    registry, workspace = _REGISTRY.match(scope), _WORKSPACE.search(scope)
    return AssetName(
        KINDS[found["kind"].lower()],
        found["name"],
        found["version"],
        registry[1] if registry else None,
        workspace[1] if workspace else None,
    )


def plain_id(asset_id: str) -> str:
    """The id without the prefix that some answers put before an ARM id."""
    return asset_id.removeprefix("azureml:") if asset_id.startswith("azureml:/subscriptions") else asset_id


def registry_id(name: str) -> str:
    return f"{REGISTRIES}{name}"


def is_of_registry(asset_id: str) -> bool:
    """Whether it names a registry, or something in one."""
    return asset_id.casefold().startswith(REGISTRIES)
