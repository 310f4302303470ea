"""Measures what the containers of deployments use of their instance's processors and memory (Linux only)."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.compute.servers import InferenceServers
from localcloud.azureml.metric_definitions import CPU, MEMORY
from localcloud.azureml.store import Store
from localcloud.azureml.traffic_figures import Measured, TrafficFigures
from localcloud.azureml.virtual_machine_sizes import Size, size_of

#: Between two measurements: the least, and the most; a quarter of a minute of the metrics where that is between them.
_PAUSES_SECONDS = (0.5, 5.0)
_SMALLEST = Size("", "", 1, 4.0)


@dataclass(frozen=True)
class _Usage:
    """Of all processes of a group."""

    at: float  # seconds of a clock that never goes back
    cpu_seconds: float = 0.0
    bytes: int = 0


class ContainerLoad:
    def __init__(self, store: Store, servers: InferenceServers, figures: TrafficFigures) -> None:
        self._store = store
        self._servers = servers
        self._figures = figures
        self._before: dict[int, _Usage] = {}

    async def measure(self) -> None:
        """Measures all running containers again and again, until cancelled, and has the figures written."""
        least, most = _PAUSES_SECONDS
        pause = min(max(self._figures.minute_seconds / 4, least), most)
        while True:
            self._figures.write()
            if sys.platform == "linux":
                await self._measure_all()
            await asyncio.sleep(pause)

    async def _measure_all(self) -> None:
        groups = {}
        for deployment in self._store.matching("*/onlineendpoints/*/deployments/*"):
            group = self._servers.process_group(deployment.path.lower())
            if group is not None:
                groups[group] = deployment
        if not groups:
            return
        now = await asyncio.to_thread(_usages, groups)
        for group, deployment in groups.items():
            before, usage = self._before.get(group), now[group]
            if before and usage.at > before.at:
                size = size_of(str(deployment.properties.get("instanceType") or "")) or _SMALLEST
                endpoint, _, name = deployment.path.rpartition("/deployments/")
                cpu = max(usage.cpu_seconds - before.cpu_seconds, 0.0) / (usage.at - before.at) / size.cores
                self._figures.add(Measured(endpoint, name, CPU, 100 * cpu))
                self._figures.add(Measured(endpoint, name, MEMORY, 100 * usage.bytes / (size.memory_gib * 2**30)))
        self._before = now


def _usages(groups: Iterable[int]) -> dict[int, _Usage]:
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    now = time.monotonic()
    usages = {group: _Usage(now) for group in groups}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # the process ended meanwhile
            # What follows the name: state, parent, group, …; 11 and 12 are processor times, 21 is resident memory.
            fields = status.read_text().rpartition(")")[2].split()
            usage = usages.get(int(fields[2]))
            if usage:
                seconds = (int(fields[11]) + int(fields[12])) / ticks
                usages[int(fields[2])] = _Usage(now, usage.cpu_seconds + seconds, usage.bytes + int(fields[21]) * page)
    return usages
