"""What a subscription may still use of virtual machines in a workspace's region."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class MachineSize:
    """A size of virtual machines, such as `Standard_DS3_v2`."""

    name: str
    family: str  #: of its quota, such as `standardDSv2Family`
    cores: int


@dataclass(frozen=True)
class Quota:
    """How many cores the subscription may use in the region, and uses."""

    name: str  #: as Azure shows it: `Standard DSv2 Family Cluster Dedicated vCPUs`
    limit: int
    used: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


class Capacities(Protocol):
    """Read at the subscription, for which a role on the workspace is not enough."""

    def machine_size(self, name: str) -> MachineSize | None: ...  # the name in any casing; None if there is none
    def quotas(self) -> Sequence[Quota]: ...  # empty if Azure reports none
