"""What the doctor says about a local cloud without any fault."""

import time
from typing import Any

import pytest_asyncio
import requests

from localcloud.up import Description, LocalCloud
from tests.functions.running import describe
from tests.signing_in import bearer

#: Seconds. They only end a wait that hangs.
DEADLINE = 300
#: What it says of a check that takes too long.
LATE = "no answer within"
INTAKE = {"event_subscriptions": {"function": "take_events", "path": "api/events"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tmp_path_factory: Any) -> Any:
    """The addresses of a local cloud whose workspaces deliver their events to the app."""
    described = Description.model_validate(describe().model_dump(by_alias=True) | INTAKE)
    async with LocalCloud(described, tmp_path_factory.mktemp("doctor") / "data") as cloud:
        yield cloud.addresses


def test_where_all_is_well_the_doctor_finds_nothing_to_do(app: dict[str, Any]) -> None:
    headers = {"x-functions-key": app["functions"]["keys"]["default"], **bearer(app, "alice")}
    deadline = time.monotonic() + DEADLINE
    # The first look at Azure loads its SDK, which takes longer on a busy machine than the doctor waits for a check.
    while True:
        answer = requests.get(f"{app['functions']['url']}/api/health", headers=headers, timeout=DEADLINE).json()
        found = [each for each in answer["checks"] if each["state"] != "ok"]
        late = [each for each in found if each["says"].startswith(LATE)]
        if not found or found != late or time.monotonic() > deadline:
            break
    assert found == []
    events = {each["name"]: each["says"] for each in answer["checks"] if each["what"] == "events"}
    assert events == {name: f"delivered by ws-{name}-take-events" for name in ("dev", "test", "prod")}
