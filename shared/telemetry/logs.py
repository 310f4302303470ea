"""Keeps secrets out of the app's log and out of errors that the host logs, and keeps each record on its own line."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core.redaction import clean, one_line, without_secrets

#: Indents each line of a traceback, so that a message in it cannot look like a log record.
_INDENT = "    "


class FunctionError(Exception):
    """Replaces an error whose text had a secret in it. The app's log has its traceback without the secret."""


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
    """Make all records of this logger safe. Idempotent."""
    log.addFilter(_FILTER)


@contextmanager
def errors_without_secrets(log: logging.Logger) -> Iterator[None]:
    """Pass errors raised inside on to the host unchanged, unless they contain a secret."""
    try:
        yield
    except Exception as fault:
        if all(without_secrets(text) == text for text in map(str, _chain(fault))):
            raise
        log.exception("%s", type(fault).__name__)
        raise FunctionError(f"{type(fault).__name__}: {clean(str(fault))}") from None


def _chain(fault: BaseException) -> Iterator[BaseException]:
    """The error and its causes."""
    seen: set[int] = set()
    following: BaseException | None = fault
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
