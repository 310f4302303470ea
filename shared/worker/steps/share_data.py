"""Copies the data assets that the route names into the registry, for whoever wants to train with them elsewhere.

Runs in the environment that the models come from, and there only. What its own configuration does not name for a route
from there stays where it is, whatever a command says.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.config.evaluation import AskedData
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import BusyError, Capability, DataAsset, RegistryData, same_asset
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.target import Target


@dataclass(frozen=True)
class Options:
    """What the plan says of this step."""

    data: tuple[str, ...] = ()  #: NAME@latest or NAME:VERSION


@dataclass(frozen=True)
class Resolved:
    """What `@latest` meant at the first poll: by name, the version."""

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
    """All that the route names."""

    data: tuple[CopiedData, ...]


def run(target: Target) -> Outcome:
    asked = [AskedData.read(each) for each in target.options(Options).data]
    refusal = _kept_here(target, asked)
    if refusal:
        return refusal
    known = target.state(Resolved) or Resolved()
    assets = []
    for each in asked:
        found = _asset(target, each, known)
        if isinstance(found, Failed):
            return found
        assets.append(found)
    copies = [target.workspace.registry_data(each.name, each.version) for each in assets]
    for asset, copy in zip(assets, copies, strict=True):
        if copy is not None and not same_asset(copy.origin, _origin(target, asset)):
            return _taken(asset, copy)
    missing = [asset for asset, copy in zip(assets, copies, strict=True) if copy is None]
    if missing:
        versions = {each.name: each.version for each in assets}
        return poll_again(target.command, _started(target, missing), Resolved(versions))
    return Succeeded(as_evidence(DataShared(tuple(_evidence(target, assets, copies)))))


def _kept_here(target: Target, asked: list[AskedData]) -> Failed | None:
    kept = [each.name for each in asked if each.name not in target.rules.shares_data]
    if not kept:
        return None
    return Failed(
        f"{target.command.environment} does not share data asset {', '.join(kept)}: its worker's own promotion.yml "
        "names it in `share_data` of no route from there, or routes deploy there, so that its data stays. Nothing was "
        "shared.",
        FailureKind.PERMISSION,
    )


def _asset(target: Target, asked: AskedData, known: Resolved) -> DataAsset | Failed:
    found = target.workspace.data_asset(asked.name, known.versions.get(asked.name) or asked.version)
    if found is not None and not found.is_archived:
        return found
    what = f"{asked.name}:{asked.version}" if asked.version else asked.name
    why = "is archived in" if found else "is not in"
    return Failed(
        f"Data asset {what} {why} the workspace of {target.command.environment}, so it was not shared. Create it "
        "there, or correct `share_data` of the route.",
        FailureKind.NOT_FOUND,
    )


def _started(target: Target, missing: list[DataAsset]) -> str:
    says = f"the registry is copying data asset {', '.join(f'{each.name}:{each.version}' for each in missing)}"
    # Asked for again at polls 2, 4, 8, …, as for models: an import that went wrong leaves no trace.
    if math.log2(max(target.command.poll, 1)).is_integer():
        for each in missing:
            try:
                target.workspace.start_data_share(each.name, each.version)
            except BusyError as fault:
                return f"{says}: {fault}"
    return says


def _taken(asset: DataAsset, copy: RegistryData) -> Failed:
    return Failed(
        f"The registry has another data asset {asset.name}, version {asset.version}, made from "
        f"{copy.origin or 'something else'}. Create the data under a new version, or under another name.",
        FailureKind.CONFLICT,
    )


def _origin(target: Target, asset: DataAsset) -> str:
    return target.workspace.data_origin(asset.name, asset.version)


def _evidence(target: Target, assets: list[DataAsset], copies: list[RegistryData | None]) -> Iterator[CopiedData]:
    for asset, copy in zip(assets, copies, strict=True):
        if copy is not None:
            yield CopiedData(asset.name, asset.version, _origin(target, asset), copy.asset_id)


STEP = Step("share_data", run, DataShared, Target, Capability.SHARE)
