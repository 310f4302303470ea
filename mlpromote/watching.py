"""Shows a running promotion: redrawn in place on a terminal, otherwise a line for each step that ends."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mlpromote.live_figures import figure_lines
from mlpromote.output import Clock, print_plainly, wall_clock
from mlpromote.picture import Promotion, changes, picture

REFRESHES_PER_SECOND = 8
_NEXT_POLL = re.compile(r"; next poll at [0-9:]+ UTC")

#: The live figures of a promotion, as `GET /api/promotions/{id}/series` returns them.
Series = Mapping[str, Any]


class View(Protocol):
    """Shows each state of a promotion that it is given, inside its `with` block."""

    draws_figures: bool  #: whether it shows live figures

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, promotion: Promotion, series: Series | None = None) -> None: ...


def view(
    console: Console,
    footer: Callable[[], str] | None = None,
    before: Promotion | None = None,
    clock: Clock = wall_clock,
) -> View:
    """Return the view for a console. If it can be redrawn, the line from `footer` is below the picture.

    If it cannot, steps that had already ended in `before` are not printed again.
    """
    redraws = console.is_terminal and not console.is_dumb_terminal
    return _Redrawn(console, footer, clock) if redraws else _Lines(console, before, clock)


class _Lines:
    """The view for a file or a plain terminal."""

    draws_figures = False

    def __init__(self, console: Console, before: Promotion | None, clock: Clock) -> None:
        self._console = console
        self._before = before
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, promotion: Promotion, series: Series | None = None) -> None:
        for line in changes(self._before, promotion, self._clock()):
            self._print(line)
        waits = _lasting(promotion)
        if waits != _lasting(self._before):
            for line in waits:
                self._print(Text(f"   … {line}"))
        self._before = promotion

    def _print(self, line: RenderableType) -> None:
        """Print it at once: who reads a pipe waits for it, too."""
        print_plainly(self._console, line)


class _Redrawn:
    """The view for a terminal: one picture, redrawn several times a second, which stays when the promotion ends."""

    draws_figures = True

    def __init__(self, console: Console, footer: Callable[[], str] | None, clock: Clock) -> None:
        self._footer = footer
        self._clock = clock
        self._promotion: Promotion | None = None
        self._series: Series | None = None
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=REFRESHES_PER_SECOND,
            vertical_overflow="visible",
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, promotion: Promotion, series: Series | None = None) -> None:
        self._promotion, self._series = promotion, series

    def _draw(self) -> RenderableType:
        if self._promotion is None:
            return Text()
        drawn = picture(self._promotion, self._clock())
        below = list(figure_lines(self._series, self._promotion)) if self._series else []
        below += [Text(f"   … {line}", style="dim") for line in waits_of(self._promotion)]
        if self._footer:
            below += [Text(), Text(f"   {self._footer()}", style="cyan")]
        return Group(drawn, *below)


def waits_of(promotion: Promotion | None) -> Iterator[str]:
    """Yield what each stage waits for, and until when."""
    for wait in (promotion or {}).get("waits", ()):
        until = datetime.fromisoformat(wait["until"]).astimezone(UTC)
        yield f"{wait['stage']} waits for {wait['for']}, until {until:%Y-%m-%d %H:%M} UTC"


def _lasting(promotion: Promotion | None) -> list[str]:
    """What each stage waits for, without what changes at each poll: a line for every poll would hide the others."""
    return [_NEXT_POLL.sub("", line) for line in waits_of(promotion)]
