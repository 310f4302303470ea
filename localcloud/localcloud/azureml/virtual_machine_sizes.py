"""Sizes of virtual machines that a managed deployment can have: their family, cores and memory.

From Azure's list of sizes for managed online endpoints. All sizes of a family count against one quota.
"""

import math
import re
from dataclasses import dataclass

#: Cores and GiB of memory of the sizes whose number says neither.
_DS_V2 = {1: (1, 3.5), 2: (2, 7.0), 3: (4, 14.0), 4: (8, 28.0), 5: (16, 56.0), 11: (2, 14.0), 12: (4, 28.0)}
_DS_V2 |= {13: (8, 56.0), 14: (16, 112.0), 15: (20, 140.0)}
#: GiB of memory for a core, by the first letter of the size.
_MEMORY_FOR_A_CORE = {"D": 4.0, "E": 8.0, "F": 2.0, "L": 8.0, "N": 14.0}
_SIZE = re.compile(
    r"standard_(?P<letters>[a-z]+?)(?P<number>\d+)(?P<features>[a-z]*)(?:_(?P<gpu>(?!v\d)[a-z]+\d+))?(?:_v(?P<version>\d+))?",
    re.IGNORECASE,
)
#: GPUs that are named in a size like a GPU, but in the family after its version.
_AFTER_VERSION = ("T4",)
#: The share of a deployment's instances that Azure keeps free for upgrades of most sizes.
_RESERVE = 1.2
#: The families that need no such reserve.
_NO_RESERVE = (
    *("NCADSA100v4", "NCADSH100v5", "NCADISH100v5"),
    *("NDAMSRA100v4", "NDASRv4", "NDRSv2", "NDISH100v5", "NDISRH100v5"),
)


@dataclass(frozen=True)
class Size:
    """A size such as `Standard_DS3_v2`."""

    name: str
    #: As quotas name it, such as `DSv2`.
    family: str
    cores: int
    memory_gib: float

    @property
    def quota(self) -> str:
        """The name of the quota that it counts against."""
        return f"Standard {self.family} Family Cluster Dedicated vCPUs"

    def cores_of_quota(self, instances: int) -> int:
        """What a deployment with this many instances takes of the quota."""
        kept = instances if self.family in _NO_RESERVE else math.ceil(round(_RESERVE * instances, 6))
        return kept * self.cores


def size_of(name: str) -> Size | None:
    """The size of this name; None for one that is not in the form of Azure's names."""
    found = _SIZE.fullmatch(name)
    if not found:
        return None
    letters, number = found["letters"].upper(), int(found["number"])
    gpu, version = (found["gpu"] or "").upper(), f"v{found['version']}" if found["version"] else ""
    after = f"_{gpu}" if gpu in _AFTER_VERSION else ""
    family = f"{letters}{found['features'].upper()}{'' if after else gpu}{version}{after}"
    if letters in ("D", "DS") and version in ("", "v2") and number in _DS_V2:
        return Size(name, family, *_DS_V2[number])
    return Size(name, family, number, number * _MEMORY_FOR_A_CORE.get(letters[0], 4.0))


_NUMBERED = {
    "D{}s_v3": (2, 4, 8),
    "E{}s_v3": (2, 4, 8, 16),
    "F{}s_v2": (2, 4, 8, 16, 32, 72),
    "D{}as_v4": (2, 4, 8, 16),
}
#: The sizes that are listed for every region.
LISTED = tuple(
    size
    for name in (
        *(f"Standard_DS{number}_v2" for number in range(1, 6)),
        *(f"Standard_{pattern.format(number)}" for pattern, numbers in _NUMBERED.items() for number in numbers),
        *("Standard_NC4as_T4_v3", "Standard_NC6s_v3", "Standard_NC24ads_A100_v4"),
    )
    if (size := size_of(name))
)
