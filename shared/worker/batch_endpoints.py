"""What a batch endpoint needs in its workspace: the cluster that it uses, and the data that it is tested with."""

from dataclasses import replace

from shared.config.batch import BatchTest
from shared.core import asset_names
from shared.core.messages import Failed, FailureKind
from shared.ports import DeploymentFile, same_asset
from shared.worker import data_assets
from shared.worker.target import Target


def with_cluster(target: Target, described: DeploymentFile) -> DeploymentFile | Failed:
    """What the deployment file requests, with the size of its cluster's nodes as the size of its instances."""
    if not target.is_batch:
        return described
    cluster = target.workspace.cluster(described.compute) if described.compute else None
    if cluster is not None:
        return replace(described, instance_type=cluster.size)
    return Failed(
        f"The workspace of {target.command.environment} has no cluster {described.compute or '(none named)'}, which "
        f"{target.stage.deployment} requires. Create it, or name another `compute`.",
        FailureKind.NOT_FOUND,
    )


def obstacle(target: Target) -> Failed | None:
    """What would stop the test, as far as that is known before anything is spent."""
    found = data(target, target.stage.test) if target.stage.test is not None else None
    return found if isinstance(found, Failed) else None


def data(target: Target, asked: BatchTest) -> tuple[str, str] | Failed:
    """The id of the test's input and its type. `@latest` is the latest version now."""
    named = asked.asked()
    if named is None:
        return _of_registry(target, asked.input)
    asset = data_assets.usable(target, named.name, named.version, "correct `test: input` of the stage")
    return asset if isinstance(asset, Failed) else (asset.asset_id, asset.type)


def _of_registry(target: Target, asset: str) -> tuple[str, str] | Failed:
    named = asset_names.read(asset)
    found = target.workspace.registry_data(named.name, named.version) if named is not None else None
    if found is not None and same_asset(found.asset_id, asset):
        return found.asset_id, found.type
    return Failed(
        f"{target.command.environment} cannot find {asset} in its registry. Share the data asset to the registry, or "
        "correct `test: input` of the stage.",
        FailureKind.NOT_FOUND,
    )
