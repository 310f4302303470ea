"""The monitor of prod whose breaches make a pipeline run again, and the data that it and the batch endpoints read."""

import asyncio
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.killing import Outage
from tests.chaos.logbook import Logbook
from tests.chaos.world import Breach
from tests.drift_monitor import drift_monitor, signal_of
from tests.e2e.azure import SDK_FAULTS, Azure, client_of, until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml.entities import Data

ENVIRONMENT, MONITOR, SAMPLE = "prod", "chaos-drift", "sample"
_ROWS = 4
#: Seconds that a run takes at most: nothing is computed.
ENDS_WITHIN = 10.0


class Monitor:
    """A monitor that finds drift whenever it is told to."""

    def __init__(
        self, azure: Azure, addresses: Mapping[str, Any], folder: Path, log: Logbook, outages: Sequence[Outage]
    ) -> None:
        """`outages` of Azure ML: whoever notes them goes on doing so."""
        self._azure = azure
        self._workspace = addresses["workspaces"][ENVIRONMENT]
        self._prod = client_of(addresses, ENVIRONMENT)
        self._folder = folder
        self._log = log
        self._outages = outages
        #: Each run that has found drift for certain.
        self.breaches: list[Breach] = []

    async def begin(self) -> None:
        """Register the data, and set the monitor up: at the beginning, when nothing is killed yet."""
        file = self._folder / f"{SAMPLE}.txt"
        file.write_text("".join(f"row-{number} {number}\n" for number in range(_ROWS)))
        data = Data(name=SAMPLE, version="1", path=str(file), type="uri_file")
        await asyncio.to_thread(self._prod.data.create_or_update, data)
        with redirect_stdout(io.StringIO()):  # the SDK prints dots there
            monitor = drift_monitor(MONITOR, f"{self._workspace}/data/{SAMPLE}/versions/1")
            await asyncio.to_thread(lambda: self._prod.schedules.begin_create_or_update(monitor).result())

    async def breach(self) -> None:
        """Have it run and find drift."""
        known = len(self._outages)
        try:
            await self._azure.fault("monitor_breach", None, signal_of(MONITOR))
            name = str((await asyncio.to_thread(self._prod.schedules.trigger, MONITOR)).job_name)
            await until(lambda: self._has_completed(name), f"the end of {name}", ENDS_WITHIN)
        except (*SDK_FAULTS, aiohttp.ClientError, AssertionError, TimeoutError) as fault:
            self._log.note("drift", f"{type(fault).__name__}")
            return
        if known == len(self._outages):  # else the fault was forgotten, and it may have found nothing
            self.breaches.append(Breach(name, datetime.now(UTC)))
        self._log.note("drift", name)

    async def _has_completed(self, name: str) -> bool:
        found = await self._azure.job(ENVIRONMENT, name)
        return bool(found and found["status"] == "Completed")
