"""Components and environment assets in the form of Azure ML's REST API, in a workspace or a registry.

The service answers each number and truth value of a component as a text; what comes from a file is made the same.
"""

from collections.abc import Mapping
from typing import Any

from shared.core.asset_names import plain_id
from shared.ports import Component, EnvironmentAsset

#: Keys that do not affect what a component does, or that are stored elsewhere.
_NOT_CONTENT = frozenset(
    {
        "$schema",
        "_source",
        "code",
        "creation_context",
        "description",
        "display_name",
        "environment",
        "id",
        "name",
        "sourceJobId",
        "tags",
        "type",
        "version",
    }
)
#: Names that azure-ai-ml gives to environments described inline.
_ANONYMOUS = ("clicv2anonymousenvironment",)


def component_from(properties: Mapping[str, Any]) -> Component:
    """Return the component from the properties of its version."""
    specification: Mapping[str, Any] = properties.get("componentSpec") or {}
    return Component(
        kind=str(specification.get("type") or ("command" if specification.get("command") else "")),
        code=plain_id(specification.get("code")),
        environment=plain_id(specification.get("environment")),
        specification=texts({key: each for key, each in specification.items() if key not in _NOT_CONTENT}),
        is_archived=bool(properties.get("isArchived")),
    )


def component_body(name: str, version: str, component: Component, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the request that registers a component."""
    specification: dict[str, Any] = {
        **component.specification,
        "type": component.kind,
        "name": name,
        "version": version,
        "environment": component.environment,
    }
    if component.code:
        specification["code"] = component.code
    return {
        "properties": {
            "componentSpec": specification,
            "isAnonymous": False,
            "isArchived": False,
            "properties": {},
            "tags": dict(tags),
        }
    }


def environment_from(asset_id: str, name: str, found: Mapping[str, Any]) -> EnvironmentAsset:
    """Return the environment asset with this name; for a label, the version that it stands for."""
    properties, version = found.get("properties") or {}, str(found["name"])
    build = properties.get("build") or {}
    return EnvironmentAsset(
        asset_id=f"{asset_id.rpartition('/')[0].rpartition('/')[0]}/versions/{version}",
        name=name,
        version=version,
        image=str(properties.get("image") or ""),
        conda=str(properties.get("condaFile") or ""),
        build=str(build.get("contextUri") or ""),
        dockerfile=str(build.get("dockerfilePath") or ""),
        is_anonymous=bool(properties.get("isAnonymous")) or name.lower() in _ANONYMOUS,
        origin=str(properties.get("originAssetId") or ""),
    )


def environment_body(asset: EnvironmentAsset) -> dict[str, Any]:
    """Return the request that registers an environment from an image and perhaps a conda file."""
    conda = {"condaFile": asset.conda} if asset.conda else {}
    return {"properties": {"image": asset.image, **conda, "isAnonymous": False, "isArchived": False, "tags": {}}}


def texts(value: Any) -> Any:
    """Return the same with numbers and booleans as strings, and without empty mappings and lists."""
    if isinstance(value, Mapping):
        kept = {str(key): texts(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, {}, [])}
    if isinstance(value, list | tuple):
        return [texts(each) for each in value]
    return str(value) if isinstance(value, bool | int | float) else value
