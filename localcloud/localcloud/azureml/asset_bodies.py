"""What a GET of an asset's version, or of its container, answers."""

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


def version_body(
    scope: Scope, kind: str, name: str, version: str, properties: Json, old: Resource | None, by: Caller | None
) -> Json:
    """Of a new version, or of the old one with other properties."""
    defaults: Json = {"description": None, "isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}}
    if kind == "models":
        defaults["flavors"] = {}  # the SDK reads it unasked
    if kind == "environments":
        defaults.update(environmentType="UserCreated", osType="Linux")
    if old:
        defaults.update({key: old.properties[key] for key in _KEPT if key in old.properties})
    identifier, resource_type = _identity(scope, kind, name, version)
    return {
        "id": identifier,
        "name": version,
        "type": resource_type,
        "properties": {**defaults, **properties, "provisioningState": "Succeeded"},
        "systemData": system_data(old, by.name or by.client_id, by.kind) if by else system_data(old),
    }


def container_body(scope: Scope, kind: str, name: str) -> Json:
    identifier = _identity(scope, kind, name, "")[0].removesuffix("/versions/")
    return {
        "id": identifier,
        "name": name,
        "type": f"{PROVIDER}/workspaces/{kind}",
        "properties": {"isArchived": False, "tags": {}, "properties": {}},
        "systemData": system_data(None),
    }


def refuse_other_content(scope: Scope, kind: str, name: str, version: str, old: Resource, properties: Json) -> None:
    """Raises a 409 if a version would get different content."""
    if old.properties.get(CONTENT[kind]) != properties.get(CONTENT[kind]):
        raise AzureError(
            409,
            "Conflict",
            f"The {kind.rstrip('s')} {name} with the version {version} already exists in {scope.name}. Its content"
            " cannot be changed; use another version.",
        )


def _identity(scope: Scope, kind: str, name: str, version: str) -> tuple[str, str]:
    """Id and type in answers: a registry's data plane has its own ids."""
    if scope.is_registry:
        return f"azureml://registries/{scope.name}/{kind}/{name}/versions/{version}", kind
    return f"{scope.path}/{kind}/{name}/versions/{version}", f"{PROVIDER}/workspaces/{kind}/versions"
