"""Where results and remarks go: tables or JSON to the standard output, everything else to the standard error.

With `--json` a script may read either: the standard output then holds the result and nothing else, and the standard
error one JSON object if there is no result.
"""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from mlpromote.ends import CommandError
from mlpromote.visible import visible

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time of day, as this machine has it."""
    return datetime.now(UTC)


class Output:
    """Of one command. Results are either shown or, with `as_json`, printed as JSON; never both."""

    def __init__(self, as_json: bool, clock: Clock = wall_clock) -> None:
        self.as_json = as_json
        #: Tells now, from which ages are counted.
        self.clock = clock
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def result(self, document: Any, draw: Callable[[], Iterable[RenderableType]]) -> None:
        """The answer, for scripts as it is, for people as it is drawn."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            return
        self.say(*draw())

    def say(self, *parts: RenderableType) -> None:
        """Something for people, one below the other; nothing where the result is for scripts."""
        if not self.as_json:
            for part in parts:
                self.console.print(part)

    def remark(self, sentence: str) -> None:
        """What people should know beside the result."""
        if not self.as_json:
            self._errors.print(Text(visible(sentence), style="dim"))

    def error(self, error: CommandError) -> None:
        """Why the command did not do what was asked; as JSON `{exitCode, detail}` and what else the API said."""
        if self.as_json:
            document = {"exitCode": int(error.exit_code), **error.problem, "detail": str(error)}
            sys.stderr.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            return
        self._errors.print(Text.assemble(("mlpromote: ", "bold red"), visible(str(error))), soft_wrap=True)
