"""What the app logs: no secrets, one line per message, and tracebacks that cannot be mistaken for messages."""

import io
import logging
from collections.abc import Iterator

import pytest

from shared.telemetry.logs import FunctionError, errors_without_secrets, keep_safe


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    log = logging.getLogger("mlpromote.test-of-logs")
    keep_safe(log)
    keep_safe(log)
    yield log
    log.filters.clear()


@pytest.fixture
def written(log: logging.Logger) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.addHandler(handler)
    yield stream
    log.removeHandler(handler)


def test_an_argument_with_a_secret_is_logged_without_it(log: logging.Logger, written: io.StringIO) -> None:
    log.warning("%s could not connect: %s", "churn-3", "AccountKey=abcdefgh12345678")
    assert written.getvalue() == "WARNING churn-3 could not connect: AccountKey=***\n"


def test_a_line_break_in_a_reason_forges_no_line(log: logging.Logger, written: io.StringIO) -> None:
    log.warning("rejected: %s", "no\nWARNING churn-3 approved by alice\x1b[2J\r")
    assert written.getvalue() == "WARNING rejected: no\\nWARNING churn-3 approved by alice\\x0d\n"


def test_a_traceback_has_no_secret_and_no_line_that_begins_as_one_of_the_log(
    log: logging.Logger, written: io.StringIO
) -> None:
    try:
        raise ValueError("password=hunter22\nWARNING churn-3 approved by alice")
    except ValueError:
        log.exception("step of %s", "churn-3")
    first, *others = written.getvalue().splitlines()
    assert first == "ERROR step of churn-3"
    assert "hunter22" not in written.getvalue()
    assert any("ValueError: password=***" in line for line in others)
    assert all(line.startswith("    ") for line in others)


def test_an_error_with_a_secret_reaches_the_host_without_it(log: logging.Logger, written: io.StringIO) -> None:
    def connect() -> None:
        try:
            raise ConnectionError("SharedAccessKey=abcdefgh12345678")
        except ConnectionError as fault:
            raise ValueError("cannot connect") from fault

    with pytest.raises(FunctionError, match="ValueError: cannot connect") as raised, errors_without_secrets(log):
        connect()
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "SharedAccessKey=***" in written.getvalue()
    assert "abcdefgh12345678" not in written.getvalue()


def test_an_error_without_one_is_unchanged(log: logging.Logger) -> None:
    fault = ValueError("cannot connect")
    with pytest.raises(ValueError) as raised, errors_without_secrets(log):
        raise fault
    assert raised.value is fault
