"""How a command may end: the exit codes that scripts can rely on, and the error that carries one."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """An exit code."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    NO_ANSWER = 5
    INTERRUPTED = 130


#: For people, in the order of the codes.
MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "done; with --watch: the promotion succeeded",
    Exit.REFUSED: "the answer is no: it does not apply as things are, some of it could not be done, the watched "
    "promotion ended otherwise than in success, or the doctor found something",
    Exit.USAGE: "the command cannot be meant as it is",
    Exit.NOT_ALLOWED: "not signed in, or not allowed",
    Exit.NOT_FOUND: "what was named is not there",
    Exit.NO_ANSWER: "the app cannot be reached, or does not answer as it should",
    Exit.INTERRUPTED: "interrupted",
}


class CommandError(Exception):
    """The command ends with this exit code; the text is a sentence for people."""

    def __init__(self, exit_code: Exit, sentence: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem`: the problem document of the API, where there is one."""
        super().__init__(sentence)
        self.exit_code = exit_code
        self.problem = dict(problem or {})
