"""What a GET of an asset's version, or of its container, answers."""

from dataclasses import dataclass

from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import PROVIDER, Scope
from localcloud.azureml.store import Resource, system_data
from localcloud.azureml.wire import AzureError, Json

KINDS = ("models", "environments", "components", "data", "codes")
#: The property of a version that must not change, by kind of asset.
CONTENT = {
    "models": "modelUri",
    "data": "dataUri",
    "codes": "codeUri",
    "environments": "image",
    "components": "componentSpec",
}
#: Properties that an update of a version does not change.
_KEPT = ("jobName", "originAssetId")


@dataclass(frozen=True)
class AssetVersion:
    """Which version of which asset, in a workspace or a registry."""

    scope: Scope
    kind: str  #: one of `KINDS`
    name: str
    version: str

    @property
    def container(self) -> str:
        """The path of what holds all of its versions."""
        return f"{self.scope.path}/{self.kind}/{self.name}"

    @property
    def path(self) -> str:
        return f"{self.container}/versions/{self.version}"


def version_body(asset: AssetVersion, properties: Json, old: Resource | None, by: Caller | None) -> Json:
    """Of a new version, or of the old one with other properties."""
    defaults: Json = {"description": None, "isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}}
    if asset.kind == "models":
        defaults["flavors"] = {}  # the SDK reads it unasked
    if asset.kind == "environments":
        defaults.update(environmentType="UserCreated", osType="Linux")
    if old:
        defaults.update({key: old.properties[key] for key in _KEPT if key in old.properties})
    identifier, resource_type = _identity(asset)
    return {
        "id": identifier,
        "name": asset.version,
        "type": resource_type,
        "properties": {**defaults, **properties, "provisioningState": "Succeeded"},
        "systemData": system_data(old, by.name or by.client_id, by.kind) if by else system_data(old),
    }


def container_body(asset: AssetVersion) -> Json:
    return {
        "id": _identity(asset)[0].rpartition("/versions/")[0],
        "name": asset.name,
        "type": f"{PROVIDER}/workspaces/{asset.kind}",
        "properties": {"isArchived": False, "tags": {}, "properties": {}},
        "systemData": system_data(None),
    }


def refuse_other_content(asset: AssetVersion, old: Resource, properties: Json) -> None:
    """Raises a 409 if a version would get different content."""
    content = CONTENT[asset.kind]
    if old.properties.get(content) != properties.get(content):
        raise AzureError(
            409,
            "Conflict",
            f"The {asset.kind.rstrip('s')} {asset.name} with the version {asset.version} already exists in"
            f" {asset.scope.name}. Its content cannot be changed; use another version.",
        )


def _identity(asset: AssetVersion) -> tuple[str, str]:
    """Id and type in answers: a registry's data plane has its own ids."""
    if asset.scope.is_registry:
        registry = f"azureml://registries/{asset.scope.name}"
        return f"{registry}/{asset.kind}/{asset.name}/versions/{asset.version}", asset.kind
    return asset.path, f"{PROVIDER}/workspaces/{asset.kind}/versions"
