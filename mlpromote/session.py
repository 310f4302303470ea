"""One run of the command line: which app it is about, as whom, and how it prints."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from mlpromote import access
from mlpromote.access import Access, Wanted
from mlpromote.api import Api
from mlpromote.output import Clock, Format, Output, wall_clock


class Session:
    """What the options for connection and output said, wherever they stood, and what follows from them."""

    def __init__(self, clock: Clock = wall_clock, printed: Format = Format.TABLE) -> None:
        self.wanted = Wanted()
        self.output = Output(printed, clock)

    def want(self, name: str, value: Any) -> None:
        """Keep the value of a connection option, a field of `Wanted`. A later one wins."""
        self.wanted = replace(self.wanted, **{name: value})

    @cached_property
    def access(self) -> Access:
        """How to call the app, found at the first use. Raises `CommandError`."""
        found = access.find(self.wanted)
        if found.remark:
            self.output.remark(found.remark)
        return found

    @cached_property
    def api(self) -> Api:
        """The app. Raises `CommandError` if nothing says where it is."""
        return Api(self.access)


def format_asked_for(arguments: Sequence[str]) -> Format:
    """Return the format that the arguments ask for, even if they are invalid otherwise: errors are printed in it."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if argument == "--json":
            return Format.JSON
        asked = argument.removeprefix("--output=").removeprefix("-o")
        if before in ("-o", "--output"):
            asked = argument
        elif asked == argument:
            continue
        if asked in set(Format):
            return Format(asked)
    return Format.TABLE
