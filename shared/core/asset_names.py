"""Ids of Azure ML's assets. An asset has several ids; people know it by its name and version."""

import re
from dataclasses import dataclass

_ASSET = re.compile(
    r"(?:(?P<scope>.*)/)?(?P<kind>models|data|components|environments|codes)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_PLACE = re.compile(
    r"(?:azureml://registries/(?P<registry>[^/?#]+)"
    r"|/subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/?#]+)"
    r"/(?P<kind>models|data|components|environments|codes)/(?P<name>[^/?#]+)"
    r"/(?P<which>versions|labels)/(?P<version>[^/?#]+)",
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


@dataclass(frozen=True)
class AssetPlace:
    """An id that is safe to read an asset by: in a registry, or by its ARM id."""

    kind: str  #: one of the keys of `KINDS`
    name: str
    version: str  #: or a label
    is_label: bool
    registry: str | None  #: None for a workspace's asset

    @property
    def path(self) -> str:
        """`environments/sklearn/labels/latest`."""
        return f"{self.kind}/{self.name}/{'labels' if self.is_label else 'versions'}/{self.version}"


def place(asset_id: str) -> AssetPlace | None:
    """Parse a registry's id or an ARM id. Return None for anything else."""
    found = _PLACE.fullmatch(plain_id(asset_id))
    if found is None:
        return None
    is_label = found["which"].lower() == "labels"
    return AssetPlace(found["kind"].lower(), found["name"], found["version"], is_label, found["registry"])


def plain_id(asset_id: object) -> str:
    """Return an id from an answer of Azure ML without the prefix that some answers put before it; empty for none."""
    text = str(asset_id or "")
    rest = text.removeprefix("azureml:")
    return rest if rest.startswith(("/subscriptions/", "azureml://")) else text


def registry_id(name: str) -> str:
    return f"{REGISTRIES}{name}"


def is_of_registry(asset_id: str) -> bool:
    """Return whether the id names a registry or something in one."""
    return asset_id.casefold().startswith(REGISTRIES)
