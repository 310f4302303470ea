"""Output of a command: results go to standard output, everything else to standard error.

Results are tables for people, or JSON or YAML for scripts. For scripts, standard output holds the result and nothing
else. If there is no result, standard error holds one object in the same format.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console, RenderableType
from rich.text import Text

from mlpromote.exit_codes import CommandError
from mlpromote.tables import UNLIMITED
from mlpromote.visible import visible

Clock = Callable[[], datetime]


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    WIDE = "wide"  #: for people, as wide as it needs
    JSON = "json"
    YAML = "yaml"


def wall_clock() -> datetime:
    """Return the time of this machine's clock, in UTC."""
    return datetime.now(UTC)


class Output:
    """The output of one command. Results are drawn, or printed for scripts; never both."""

    def __init__(self, printed: Format = Format.TABLE, clock: Clock = wall_clock) -> None:
        self.format = printed
        #: Returns the current time, used to compute ages.
        self.clock = clock
        self._errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @property
    def is_for_scripts(self) -> bool:
        return self.format in (Format.JSON, Format.YAML)

    @property
    def console(self) -> Console:
        """The console for people. It is as wide as the terminal; what is cut in a pipe is lost."""
        width = UNLIMITED if self.format is Format.WIDE or _is_piped() else None
        return Console(highlight=False, markup=False, emoji=False, soft_wrap=False, width=width)

    def result(self, document: Any, draw: Callable[[], Iterable[RenderableType]]) -> None:
        """Print the result: as data for scripts, drawn for people."""
        if self.is_for_scripts:
            sys.stdout.write(self._written(document))
            return
        self.say(*draw())

    def say(self, *parts: RenderableType) -> None:
        """Print parts below each other for people; print nothing for scripts."""
        if self.is_for_scripts:
            return
        for part in parts:
            print_plainly(self.console, part)

    def remark(self, sentence: str) -> None:
        """Print a note for people to standard error."""
        if not self.is_for_scripts:
            self._errors.print(Text(visible(sentence), style="dim"), soft_wrap=True)

    def error(self, error: CommandError) -> None:
        """Print why the command failed; for scripts, `{exitCode, detail}` and the members of the problem document."""
        if self.is_for_scripts:
            sys.stderr.write(self._written({"exitCode": int(error.exit_code), **error.problem, "detail": str(error)}))
            return
        self._errors.print(Text.assemble(("mlpromote: ", "bold red"), visible(str(error))), soft_wrap=True)

    def _written(self, document: Any) -> str:
        if self.format is Format.YAML:
            return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def print_plainly(console: Console, part: RenderableType) -> None:
    """Print a part at once. Where nothing limits the width, without the spaces that fill a table's columns."""
    if console.width != UNLIMITED:
        console.print(part)
        return
    with console.capture() as captured:
        console.print(part)
    lines = captured.get().split("\n")
    console.file.write("\n".join(line.rstrip() for line in lines))
    console.file.flush()


def _is_piped() -> bool:
    """Return whether nobody says how wide the output may be."""
    return not sys.stdout.isatty() and "COLUMNS" not in os.environ
