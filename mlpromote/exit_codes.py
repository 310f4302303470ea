"""The exit codes of the command line, which scripts can rely on, and the error that carries one."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What a command reports to the shell."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    NO_ANSWER = 5
    INTERRUPTED = 130


#: For the help text, in the order of the codes.
MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "success; with --watch, the promotion succeeded",
    Exit.REFUSED: "refused or failed: not possible in the current state, only partly done, the watched promotion did "
    "not succeed, or the doctor found a problem",
    Exit.USAGE: "invalid usage",
    Exit.NOT_ALLOWED: "not signed in, or not allowed",
    Exit.NOT_FOUND: "not found",
    Exit.NO_ANSWER: "the app cannot be reached or gave an invalid answer",
    Exit.INTERRUPTED: "interrupted",
}


class CommandError(Exception):
    """Ends the command with an exit code; the text is shown to the user."""

    def __init__(self, exit_code: Exit, sentence: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem`: the API's problem document, if there is one."""
        super().__init__(sentence)
        self.exit_code = exit_code
        self.problem = dict(problem or {})
