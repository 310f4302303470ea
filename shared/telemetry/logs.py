"""What the app logs, and the errors that the host logs for it: without secrets, and one line for each thing said."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core.redaction import clean, one_line, without_secrets

#: Before each line of a traceback: a message inside of it must not pass for a line of the log.
_INDENT = "    "


class FunctionError(Exception):
    """An error whose text had a secret in it; the app's log has its traceback, without that."""


class SafeRecords(logging.Filter):
    """Changes records before any handler sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = without_secrets(one_line(record.getMessage()))
        if record.exc_info:
            told = "".join(traceback.format_exception(*record.exc_info))
            message += "".join(f"\n{_INDENT}{line}" for line in clean(told).splitlines())
        record.msg, record.args, record.exc_info, record.exc_text = message, (), None, None
        return True


_FILTER = SafeRecords()


def keep_safe(log: logging.Logger) -> None:
    """Has all records of this logger changed; calling it again changes nothing."""
    log.addFilter(_FILTER)


@contextmanager
def errors_without_secrets(log: logging.Logger) -> Iterator[None]:
    """What is raised inside goes on to the host as it is, unless it has a secret in it."""
    try:
        yield
    except Exception as fault:
        if all(without_secrets(text) == text for text in map(str, _chain(fault))):
            raise
        log.exception("%s", type(fault).__name__)
        raise FunctionError(f"{type(fault).__name__}: {clean(str(fault))}") from None


def _chain(fault: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    seen: set[int] = set()
    following: BaseException | None = fault
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
