"""How many cores of a quota deployments take, and what they cost. Pure."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.ports import MachineSize, Quota

#: Azure keeps a fifth more instances free for upgrades (how-to-manage-quotas), …
_WITH_SPARE = 1.2
#: … but not for these sizes: "Skip 20% Reservation" in reference-managed-online-endpoints-vm-sku-list. No API says so.
_WITHOUT_SPARE = frozenset(
    {
        *("standard_nc24ads_a100_v4", "standard_nc48ads_a100_v4", "standard_nc96ads_a100_v4"),
        *("standard_nc40ads_h100_v5", "standard_nc80adis_h100_v5"),
        *("standard_nd96amsr_a100_v4", "standard_nd96asr_v4", "standard_nd40rs_v2"),
        *("standard_nd96is_h100_v5", "standard_nd96isr_h100_v5"),
    }
)
#: How the name of a quota goes on after the family.
_OF_FAMILY = ("", "clusterdedicatedvcpus", "vcpus")
#: The quota of all families together.
_OF_ALL = "totalclusterdedicatedregionalvcpus"


def cores(size: MachineSize, instances: int) -> int:
    """How many cores of the quota a deployment with these instances takes, with what Azure keeps for upgrades."""
    kept = instances if size.name.casefold() in _WITHOUT_SPARE else math.ceil(round(_WITH_SPARE * instances, 6))
    return kept * size.cores


def quota_of(size: MachineSize, quotas: Iterable[Quota]) -> Quota | None:
    """The quota that decides about the size: its family's, or that of all families if less is left of it. None if
    Azure reports no quota for the family."""
    found = {_plain(quota.name): quota for quota in quotas}
    family = _plain(size.family)
    own: Sequence[Quota] = [found[family + rest] for rest in _OF_FAMILY if family and family + rest in found]
    if not own:
        return None
    every = found.get(_OF_ALL)
    return every if every is not None and every.left < own[0].left else own[0]


def without(quotas: Iterable[Quota], removed: Sequence[tuple[MachineSize, int]]) -> list[Quota]:
    """The quotas once deployments are gone: each with its size, and the cores of the quota that it takes."""

    def freed(quota: Quota) -> int:
        return sum(cores for size, cores in removed if _counts_against(quota, size.family))

    return [replace(quota, used=max(0, quota.used - freed(quota))) for quota in quotas]


def _counts_against(quota: Quota, family: str) -> bool:
    name = _plain(quota.name)
    return name == _OF_ALL or name in [_plain(family) + rest for rest in _OF_FAMILY]


def price(prices: Mapping[str, float], size: str, instances: int) -> float | None:
    """What the instances cost an hour; None if the configuration has no price for the size."""
    known = {name.casefold(): each for name, each in prices.items()}.get(size.casefold())
    return round(known * instances, 4) if known is not None else None


def _plain(name: str) -> str:
    """The family `standardDSv2Family` has the quota `Standard DSv2 Family Cluster Dedicated vCPUs`."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
