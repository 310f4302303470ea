"""The quota of a subscription in a region, in memory: implements the port `Capacities` for fast tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.ports import MachineSize, Quota
from tests.fakes.work import FakeWork

DS_V2 = "standardDSv2Family"


@dataclass(kw_only=True)
class FakeCapacities(FakeWork):
    """State that tests set up. There is room for everything at first."""

    sizes: list[MachineSize] = field(
        default_factory=lambda: [MachineSize("Standard_DS2_v2", DS_V2, 2), MachineSize("Standard_DS3_v2", DS_V2, 4)]
    )
    limits: list[Quota] = field(
        default_factory=lambda: [
            Quota("Total Cluster Dedicated Regional vCPUs", 1000, 0),
            Quota("Standard DSv2 Family Cluster Dedicated vCPUs", 100, 0),
        ]
    )

    def machine_size(self, name: str) -> MachineSize | None:
        self._called("machine_size")
        return next((size for size in self.sizes if size.name.casefold() == name.casefold()), None)

    def quotas(self) -> Sequence[Quota]:
        self._called("quotas")
        return self.limits
