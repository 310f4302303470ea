"""Output of a command: results go to standard output as tables or JSON, everything else to standard error.

With `--json`, standard output holds the result and nothing else. If there is no result, standard error holds one JSON
object.
"""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from mlpromote.exit_codes import CommandError
from mlpromote.visible import visible

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return the time of this machine's clock, in UTC."""
    return datetime.now(UTC)


class Output:
    """The output of one command. Results are drawn or, with `as_json`, printed as JSON; never both."""

    def __init__(self, as_json: bool, clock: Clock = wall_clock) -> None:
        self.as_json = as_json
        #: Returns the current time, used to compute ages.
        self.clock = clock
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def result(self, document: Any, draw: Callable[[], Iterable[RenderableType]]) -> None:
        """Print the result: as JSON for scripts, drawn for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            return
        self.say(*draw())

    def say(self, *parts: RenderableType) -> None:
        """Print parts below each other for people; print nothing with `as_json`."""
        if not self.as_json:
            for part in parts:
                self.console.print(part)

    def remark(self, sentence: str) -> None:
        """Print a note for people to standard error."""
        if not self.as_json:
            self._errors.print(Text(visible(sentence), style="dim"))

    def error(self, error: CommandError) -> None:
        """Print why the command failed; as JSON, `{exitCode, detail}` and the members of the API's problem document."""
        if self.as_json:
            document = {"exitCode": int(error.exit_code), **error.problem, "detail": str(error)}
            sys.stderr.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            return
        self._errors.print(Text.assemble(("mlpromote: ", "bold red"), visible(str(error))), soft_wrap=True)
