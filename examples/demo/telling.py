"""Tells the demos point by point: what is done, what is shown, and what must be true."""

import asyncio
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.addresses import addresses_of
from examples.demo.checks import BrokenPromiseError, Point, must
from examples.demo.data_scientist import ENDED, DataScientist
from examples.demo.endpoints import ScoringError
from examples.demo.promotions import ApiError, Promotion, Promotions
from examples.demo.terminal import Terminal
from examples.demo.watching import watch
from localcloud.up import LocalCloud
from mlpromote.watching import view

#: The longest waits. They only end what hangs: a busy machine may be slow.
JOB_SECONDS = 300
START_SECONDS = 300
PROMOTION_SECONDS = 900
JOB_POLL_SECONDS = 0.3
LOG_LINES = 12

Plot = list[tuple[Point, Callable[[], Awaitable[str]]]]


class Telling:
    """Runs the points of a story in order, and stops at the first broken promise. Stories derive from it."""

    def __init__(self, console: Console, cloud: LocalCloud, data: Path) -> None:
        """`cloud` runs in the folder `data`."""
        self._console = console
        self._cloud = cloud
        self._terminal = Terminal(console, data)
        self._addresses = addresses_of(cloud.addresses)
        self._promotions = Promotions(self._addresses.app, self._addresses.app_key)
        self._plot: Plot = []

    @property
    def points(self) -> list[Point]:
        """The points, with the results so far."""
        return [point for point, _ in self._plot]

    async def tell(self) -> bool:
        """Run the points. Return False if a promise was broken."""
        for point, happens in self._plot:
            self._console.print()
            self._console.print(Text.assemble((f"{point.number}  {point.title}", "bold cyan")))
            await self._happen(point, happens)
            if not point.kept:
                return False
        return True

    async def _happen(self, point: Point, happens: Callable[[], Awaitable[str]]) -> None:
        began = time.monotonic()
        point.kept = False
        try:
            point.seen = await happens()
            point.kept = True
        except (BrokenPromiseError, ApiError, ScoringError, AzureError, TimeoutError) as fault:
            point.seen = str(fault)
            self._marked("✗", "red", str(fault))
        finally:
            point.seconds = time.monotonic() - began

    # --- what several points do ---------------------------------------------------------------------------------------

    async def _completed(self, job: str, scientist: DataScientist) -> None:
        deadline = time.monotonic() + JOB_SECONDS
        with self._console.status(f"job {job} is running"):
            while (status := await asyncio.to_thread(scientist.status, job)) not in ENDED:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"job {job} is still {status} after {JOB_SECONDS} seconds")
                await asyncio.sleep(JOB_POLL_SECONDS)
        if status != "Completed":
            log = await asyncio.to_thread(scientist.log, job)
            self._console.print(
                Padding(log_panel(log.rstrip().splitlines()[-LOG_LINES:], "the job's log"), (0, 0, 1, 3))
            )
        must(status == "Completed", f"that job {job} completes", f"it ended as {status}; the end of its log is above")

    async def _watch(
        self,
        promotion: Promotion,
        footer: Callable[[], str] | None = None,
        until: Callable[[Promotion], bool] | None = None,
        before: Promotion | None = None,
    ) -> Promotion:
        self._console.print()
        shown = view(self._console, footer, before)
        promotion = await watch(shown, self._promotions, promotion, PROMOTION_SECONDS, until)
        self._console.print()
        return promotion

    # --- how it is told -----------------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        self._console.print(Padding(Text(text, style="dim"), (0, 0, 0, 3)))

    def _changed(self, lines: str) -> None:
        """Show lines that were added to a file."""
        added = "\n".join(f"+ {line}" for line in textwrap.dedent(lines).splitlines())
        self._console.print(Padding(Text(added, style="green"), (1, 0, 1, 6)))

    def _keep(self, sentence: str) -> None:
        self._marked("✓", "green", sentence)

    def _marked(self, mark: str, style: str, sentence: str) -> None:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(mark, style=style), sentence)
        self._console.print(Padding(line, (0, 0, 0, 3)))


def end_of(promotion: Promotion) -> str:
    return f"it has {promotion['status']}" + (f": {promotion['reason']}" if promotion["reason"] else "")


def waits_for_approval(promotion: Promotion) -> bool:
    return any(stage["approval"] and stage["approval"]["status"] == "running" for stage in promotion["stages"])


def failure_of(promotion: Promotion) -> Mapping[str, Any]:
    """The failure of the failed step. Raises BrokenPromiseError if no step failed."""
    for stage in promotion["stages"]:
        for step in stage["steps"]:
            if step["failure"]:
                failure: Mapping[str, Any] = step["failure"]
                return failure
    raise BrokenPromiseError(f"Expected that a step fails. Instead: {end_of(promotion)}")


def log_panel(log: list[str], title: str) -> Panel:
    return Panel(Text("\n".join(log), overflow="fold"), title=title, title_align="left", border_style="dim")
