"""Promotions that failed, and requests about failures over HTTP."""

from collections.abc import Mapping
from typing import Any

from shared.core.messages import Failed, FailureKind, ModelRegistered
from tests.config.right import SETTINGS
from tests.functions.conftest import ALICE, Api, Reply

CRASHED = Failed("init() raised KeyError", FailureKind.CONTAINER_CRASH, "Traceback (most recent call last): …")
BROKEN = {("test", "deploy"): CRASHED}
DEV_WORKSPACE = SETTINGS["DEV"]


def failed(api: Api, version: str) -> str:
    """A promotion that failed in test, and whose deployment was removed."""
    promotion = api.start(version)
    api.run(BROKEN)
    return promotion


def failures(api: Api, query: str = "") -> list[dict[str, Any]]:
    page = api.get(f"failures{query}")
    assert page.status == 200, page.body
    return list(page.body["value"])


def replay(api: Api, by: Mapping[str, str] = ALICE, **body: object) -> Reply:
    return ask(api, body, by)


def ask(api: Api, body: Mapping[str, object], by: Mapping[str, str] = ALICE) -> Reply:
    return api.post("failures/replay", {"reason": "mended", **body}, by)


def outcomes(reply: Reply) -> dict[str, str]:
    """By id."""
    assert reply.status == 200, reply.body
    return {item["id"]: item["outcome"] for item in reply.body["value"]}


def registered(name: str = "churn-eu", version: str = "9", source: str = "event-grid") -> ModelRegistered:
    return ModelRegistered(DEV_WORKSPACE, name, version, {"promote": "true"}, source)
