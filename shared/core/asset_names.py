"""Ids of Azure ML's assets. An asset has several ids; people know it by its name and version."""

import re
from dataclasses import dataclass

_ASSET = re.compile(
    r"(?:(?P<scope>.*)/)?(?P<kind>models|data|components|environments|codes)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_REGISTRY = re.compile(r"azureml://registries/([^/]+)", re.I)
_WORKSPACE = re.compile(r"/workspaces/([^/]+)", re.I)

#: Prefix of the ids of registries and of everything in them.
REGISTRIES = "azureml://registries/"

#: Kinds of assets: from the word in an id to the word for people.
KINDS = {
    "models": "model",
    "data": "data",
    "components": "component",
    "environments": "environment",
    "codes": "code",
}


@dataclass(frozen=True)
class AssetName:
    """The parts of an id."""

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
    """Parse an id of the control plane, of a registry, or of a workspace (`azureml://locations/…`). Return None for
    anything else, such as a path, an address or a number."""
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
    """Return the id without the prefix that some answers put before an ARM id."""
    return asset_id.removeprefix("azureml:") if asset_id.startswith("azureml:/subscriptions") else asset_id


def registry_id(name: str) -> str:
    return f"{REGISTRIES}{name}"


def is_of_registry(asset_id: str) -> bool:
    """Return whether the id names a registry or something in one."""
    return asset_id.casefold().startswith(REGISTRIES)
