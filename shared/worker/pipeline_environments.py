"""Environment assets of a pipeline's steps in the registry.

Curated ones and those of the registry are used as they are. One of the workspace is shared under its name and version.
One that is described where it is used has no name: it gets one, and a version that is a digest of its content. With a
Docker build context it is shared, since only the workspace has the context.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.core import asset_names
from shared.core.messages import Failed, FailureKind
from shared.ports import EnvironmentAsset, same_asset
from shared.worker.order import Order
from shared.worker.pipeline_content import VERSION_LENGTH, conda_as_json, digest_of, environment_digest
from shared.worker.pipeline_order import PipelineOrder, is_in

#: Microsoft's own registries, which every workspace may read.
_CURATED = ("azureml", "azureml-preview")
#: How the names of curated environments begin in every workspace.
_CURATED_NAME = "azureml-"


@dataclass(frozen=True)
class UsedEnvironment:
    """An environment asset that every stage can use."""

    asset_id: str
    digest: str = ""  #: of its content; empty for a curated one, whose id identifies the content


@dataclass(frozen=True)
class Pending:
    """It is being registered."""

    says: str


#: Reads an environment asset by its id; None for what is not there.
Read = Callable[[str], EnvironmentAsset | None]


def in_registry(order: PipelineOrder, read: Read, key: str, start: bool) -> UsedEnvironment | Pending | Failed:
    """Return the environment asset for this id in the registry, or its progress. `start`: register it if missing."""
    place = asset_names.place(key)
    if place is not None and place.registry is not None:
        return _of_registry(order, key, place.registry, place.is_label)
    named = asset_names.read(key)
    if named is not None and named.name.lower().startswith(_CURATED_NAME):
        return UsedEnvironment(f"azureml://registries/{_CURATED[0]}/environments/{named.name}/versions/{named.version}")
    asset = read(key)
    if asset is None:
        return Failed(
            f"There is no environment {key} in {order.command.environment}. Register it, then retry.",
            FailureKind.NOT_FOUND,
        )
    if asset.is_anonymous:
        return _rebuilt(order, asset, start)
    return from_workspace(order, asset, start)


def is_curated(reference: str) -> bool:
    """Whether `azureml:NAME:VERSION` names an environment that every workspace has."""
    return reference.removeprefix("azureml:").lower().startswith(_CURATED_NAME)


def _of_registry(order: PipelineOrder, key: str, registry: str, is_label: bool) -> UsedEnvironment | Failed:
    ours = is_in(order.registry, key)
    if not ours and registry.lower() not in _CURATED:
        return Failed(
            f"Environment {key} is in registry {registry}, which the other environments may not be able to read. "
            "Register it in the route's registry, and use it from there.",
            FailureKind.REFUSED,
        )
    asset = order.workspace.environment_asset(key) if ours or is_label else None
    if ours and asset is None:
        return Failed(
            f"There is no environment {key}. Correct the pipeline, or register the environment, then retry.",
            FailureKind.NOT_FOUND,
        )
    if asset is None:
        return UsedEnvironment(key)
    return UsedEnvironment(asset.asset_id, environment_digest(asset) if ours else "")


def _rebuilt(order: PipelineOrder, asset: EnvironmentAsset, start: bool) -> UsedEnvironment | Pending | Failed:
    if asset.build or not asset.image:
        return _with_context(order, asset, start)
    content = EnvironmentAsset("", "", "", asset.image, conda_as_json(asset))
    digest = environment_digest(content)
    # The name of a published route has a slash, which no asset's name may have.
    pipeline = order.command.candidate.name.replace("/", "-")
    name, version = f"{pipeline}-environment", digest[:VERSION_LENGTH]
    key = order.workspace.registry_id("environments", name, version)
    there = order.workspace.environment_asset(key)
    if there is None:
        if start:
            order.workspace.start_environment(name, version, content)
        return Pending(f"the registry is building environment {name}")
    if environment_digest(there) != digest:
        return _taken(name, version)
    return UsedEnvironment(key, digest)


def _with_context(order: PipelineOrder, asset: EnvironmentAsset, start: bool) -> UsedEnvironment | Pending | Failed:
    """An inline environment with a Docker build context is an asset of the workspace whose version is a digest of the
    context. The registry copies the asset with its context, under a name that no other such environment has."""
    if not asset.origin:
        return Failed(
            f"Environment {asset.name}:{asset.version} is described in a file, with a Docker build context that no "
            "workspace has. Register it as a named environment, and use that.",
            FailureKind.REFUSED,
        )
    name = f"{order.command.candidate.name}-environment"
    version = digest_of([asset.origin.lower()])[:VERSION_LENGTH]
    key = order.workspace.registry_id("environments", name, version)
    there = order.workspace.environment_asset(key)
    if there is None:
        if start:
            order.workspace.start_environment_share(asset.name, asset.version, (name, version))
        return Pending(f"the registry is copying environment {name} with its Docker build context")
    if not same_asset(there.origin, asset.origin):
        return _taken(name, version)
    return UsedEnvironment(key, environment_digest(there))


def from_workspace(order: Order[Any], asset: EnvironmentAsset, start: bool) -> UsedEnvironment | Pending | Failed:
    """Return the registry's copy of a workspace's own asset, or its progress. `start`: share it if it is missing."""
    key = order.workspace.registry_id("environments", asset.name, asset.version)
    there = order.workspace.environment_asset(key)
    if there is None:
        if start:
            order.workspace.start_environment_share(asset.name, asset.version)
        return Pending(f"the registry is copying environment {asset.name}, version {asset.version}")
    is_copy = bool(asset.origin) and same_asset(there.origin, asset.origin)
    if not is_copy and (asset.build or environment_digest(there) != environment_digest(asset)):
        return _taken(asset.name, asset.version)
    return UsedEnvironment(key, environment_digest(there))


def _taken(name: str, version: str) -> Failed:
    return Failed(
        f"The registry has another environment {name}, version {version}, with other content. Register the "
        "environment under a new version or another name, and use that.",
        FailureKind.CONFLICT,
    )
