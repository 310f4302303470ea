"""The exit codes of the command line, which scripts can rely on, and the error that carries one."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a command reports to the shell."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    NO_ANSWER = 5
    TIMED_OUT = 6
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130


#: For the help text, in the order of the codes.
MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "success; with --watch, the promotion succeeded",
    ExitCode.REFUSED: "refused or failed: not possible in the current state, only partly done, the watched promotion "
    "did not succeed, or check or the doctor found a problem",
    ExitCode.USAGE: "invalid usage",
    ExitCode.NOT_ALLOWED: "not signed in, or not allowed",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.NO_ANSWER: "the app cannot be reached or gave an invalid answer",
    ExitCode.TIMED_OUT: "`wait` gave up: its condition was not met in time",
    ExitCode.INTERNAL: "internal error: a bug of mlpromote, with what is needed to report it",
    ExitCode.INTERRUPTED: "interrupted",
}


class CommandError(Exception):
    """Ends the command with an exit code; the text is shown to the user."""

    def __init__(self, exit_code: ExitCode, sentence: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem`: the API's problem document, if there is one."""
        super().__init__(sentence)
        self.exit_code = exit_code
        self.problem = dict(problem or {})
