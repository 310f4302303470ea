"""Copies the data assets that the route names into the registry, so that people can train with them elsewhere.

Runs only in the environment that the models come from. It copies only what that environment's own configuration names
for a route from there, whatever a command says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.config.evaluation import AskedData
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import BusyError, Capability, DataAsset, RegistryData, same_asset
from shared.worker import data_assets
from shared.worker.order import AnyOrder, Step
from shared.worker.polls import asks_again, poll_again


@dataclass(frozen=True)
class Options:
    """The options of this step in the plan."""

    data: tuple[str, ...] = ()  #: NAME@latest or NAME:VERSION


@dataclass(frozen=True)
class Resolved:
    """The versions that `@latest` stood for at the first poll, by name."""

    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CopiedData:
    """One data asset in the registry."""

    name: str
    version: str
    origin: str  #: id of the workspace's asset that was copied
    asset: str  #: id of the copy


@dataclass(frozen=True)
class DataShared:
    """All data assets that the route names."""

    data: tuple[CopiedData, ...]


def run(order: AnyOrder) -> Outcome:
    asked = [AskedData.read(each) for each in order.options(Options).data]
    refusal = _kept_here(order, asked)
    if refusal:
        return refusal
    known = order.state(Resolved) or Resolved()
    assets = []
    for each in asked:
        found = _asset(order, each, known)
        if isinstance(found, Failed):
            return found
        assets.append(found)
    copies = [order.workspace.registry_data(each.name, each.version) for each in assets]
    for asset, copy in zip(assets, copies, strict=True):
        if copy is not None and not same_asset(copy.origin, _origin(order, asset)):
            return _taken(asset, copy)
    missing = [asset for asset, copy in zip(assets, copies, strict=True) if copy is None]
    if missing:
        versions = {each.name: each.version for each in assets}
        return poll_again(order.command, _started(order, missing), Resolved(versions))
    return Succeeded(as_evidence(DataShared(tuple(_evidence(order, assets, copies)))))


def _kept_here(order: AnyOrder, asked: list[AskedData]) -> Failed | None:
    kept = [each.name for each in asked if each.name not in order.rules.shares_data]
    if not kept:
        return None
    return Failed(
        f"{order.command.environment} does not share data asset {', '.join(kept)}. Its own promotion.yml must name it "
        "in `share_data` of a route from there, and no stage may use that environment. Nothing was shared.",
        FailureKind.PERMISSION,
    )


def _asset(order: AnyOrder, asked: AskedData, known: Resolved) -> DataAsset | Failed:
    version = known.versions.get(asked.name) or asked.version
    return data_assets.usable(order, asked.name, version, "correct `share_data` of the route")


def _started(order: AnyOrder, missing: list[DataAsset]) -> str:
    says = f"the registry is copying data asset {', '.join(f'{each.name}:{each.version}' for each in missing)}"
    if asks_again(order.command):
        for each in missing:
            try:
                order.workspace.start_data_share(each.name, each.version)
            except BusyError as fault:
                return f"{says}: {fault}"
    return says


def _taken(asset: DataAsset, copy: RegistryData) -> Failed:
    return Failed(
        f"The registry has another data asset {asset.name}, version {asset.version}, made from "
        f"{copy.origin or 'something else'}. Create the data under a new version, or under another name.",
        FailureKind.CONFLICT,
    )


def _origin(order: AnyOrder, asset: DataAsset) -> str:
    return order.workspace.data_origin(asset.name, asset.version)


def _evidence(order: AnyOrder, assets: list[DataAsset], copies: list[RegistryData | None]) -> Iterator[CopiedData]:
    for asset, copy in zip(assets, copies, strict=True):
        if copy is not None:
            yield CopiedData(asset.name, asset.version, _origin(order, asset), copy.asset_id)


STEP = Step("share_data", run, DataShared, AnyOrder, Capability.SHARE)
