"""A secret in a text from Azure or a container does not appear in anything that is stored, published or shown."""

import json
import logging
from pathlib import Path

import pytest

from shared.ports import RejectedError, UnavailableError
from shared.telemetry.logs import SafeRecords
from tests.telemetry.conftest import Observed

SECRET = "c2VjcmV0LW9mLWEtc3RvcmFnZS1hY2NvdW50"
SAYS = f"cannot mount DefaultEndpointsProtocol=https;AccountKey={SECRET};EndpointSuffix=core.windows.net \x1b[2J"
ERRORS = {
    "refused": RejectedError(SAYS),
    "not now": UnavailableError(SAYS),
    "a bug": TypeError(SAYS),
}


@pytest.mark.parametrize("fault", ERRORS.values(), ids=ERRORS)
def test_nothing_that_is_kept_told_or_shown_has_it(
    fault: Exception, observed: Observed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log = logging.getLogger("mlpromote")
    safe = SafeRecords()
    log.addFilter(safe)
    try:
        observed.register()
        observed.app.workspaces["dev"].raises["registry_model"] = fault
        sent: list[bytes] = []
        for _ in range(6):
            sent += [body for _, body in observed.bus.messages]
            if not observed.bus.messages:
                break
            queue, body = observed.bus.messages.pop(0)
            if queue == "promotion-events":
                observed.app.coordinator.advance(body)
            elif queue == "steps-dev":
                observed.app.worker.receive("dev", body)
            else:
                observed.app.coordinator.take_report("dev", body)
    finally:
        log.removeFilter(safe)
    shown = json.dumps(observed.app.requests.promotion(observed.promotion["id"]))
    spans = "".join(span.to_json() for span in observed.spans.get_finished_spans())
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("promotions.sqlite*"))
    everything = {"log": caplog.text, "API": shown, "trace": spans, "store": kept.decode(errors="replace")}
    everything["queues"] = b"".join(sent).decode()
    assert "cannot mount" in everything["API"]
    for where, text in everything.items():
        assert SECRET not in text, where
        assert "\\u001b" not in text, where
        assert "\x1b" not in text or where == "store", where  # whose file has all kinds of bytes
