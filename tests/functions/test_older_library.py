"""The functions run with the library that a worker of Azure brings, which may be older than the one in our lock."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import azure.functions as func
import pytest

from functions.intake import intake


def event(kind: str) -> func.EventGridEvent:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return func.EventGridEvent(
        id="1", data={}, topic="/subscriptions/s", subject="a", event_type=kind, event_time=at, data_version="1"
    )


def test_intake_takes_events_where_the_library_knows_no_cloud_events(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As azure-functions 1.24.0, which the workers for Python 3.11 and 3.12 bring."""
    monkeypatch.delattr(func, "CloudEvent", raising=False)
    # The decorators leave a builder in the function's place, and their types do not say so.
    function: Callable[[func.EventGridEvent], None] = intake._function.get_user_function()
    with caplog.at_level(logging.INFO, "mlpromote"):
        function(event("Microsoft.Storage.BlobCreated"))
    assert "ignored a notification of type Microsoft.Storage.BlobCreated" in caplog.text
