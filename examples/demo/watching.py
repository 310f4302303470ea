"""Shows a promotion while it is under way, until it has come to its end."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from examples.demo.picture import changes, picture
from examples.demo.promotions import ENDED, POLL_SECONDS, Promotion, Promotions

REFRESHES_PER_SECOND = 8


async def watch(
    console: Console,
    promotions: Promotions,
    promotion: Promotion,
    within_seconds: float,
    footer: Callable[[], str] | None = None,
) -> Promotion:
    """Show a promotion until its end and return it as it then was; TimeoutError when it takes longer.

    On a terminal the picture is redrawn in place, with the line that `footer` gives below; else each step gets a line.
    """
    redraws = console.is_terminal and not console.is_dumb_terminal
    shown = _Redrawn(console, footer) if redraws else _Lines(console)
    deadline = time.monotonic() + within_seconds
    with shown:
        shown.show(promotion)
        while promotion["status"] not in ENDED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{promotion['id']} is still {promotion['status']} after {within_seconds:g} seconds")
            await asyncio.sleep(POLL_SECONDS)
            promotion = await promotions.get(promotion["id"])
            shown.show(promotion)
    return promotion


class _Lines:
    """For a file or a plain terminal: a line for each step when it has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: Promotion | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, promotion: Promotion) -> None:
        for line in changes(self._before, promotion, datetime.now(UTC)):
            self._console.print(line)
        self._before = promotion


class _Redrawn:
    """For a terminal: one picture, drawn anew several times a second, that stays when the promotion has ended."""

    def __init__(self, console: Console, footer: Callable[[], str] | None) -> None:
        self._footer = footer
        self._promotion: Promotion | None = None
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=REFRESHES_PER_SECOND,
            vertical_overflow="visible",
        )

    def __enter__(self) -> None:
        self._live.start(refresh=True)

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, promotion: Promotion) -> None:
        self._promotion = promotion

    def _draw(self) -> RenderableType:
        if self._promotion is None:
            return Text()
        drawn = picture(self._promotion, datetime.now(UTC))
        return Group(drawn, "", Text(f"   {self._footer()}", style="cyan")) if self._footer else drawn
