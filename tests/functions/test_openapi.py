"""The running app matches its OpenAPI document, for requests that fit the document and for others."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
import requests

from localcloud.up import LocalCloud
from shared.coordinator.failures.replay import ReplayOutcome
from shared.core.messages import FailureKind, Kind
from shared.core.promotion import PromotionStatus, StageStatus, StepStatus
from shared.http import openapi
from tests.functions.conforming import PATIENCE, ask_all, described, operations, session_without_proxy
from tests.functions.running import describe
from tests.signing_in import bearer

DOCUMENT = openapi.document()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The addresses of a local cloud that runs the app."""
    data = tmp_path_factory.mktemp("openapi") / "data"
    async with LocalCloud(describe(), data) as cloud:
        yield cloud.addresses


@pytest.fixture(scope="module")
def headers(app: dict[str, Any]) -> dict[str, str]:
    """Of somebody who may do everything."""
    return {
        "x-functions-key": app["functions"]["keys"]["default"],
        **bearer(app, "alice"),
    }


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    yield from session_without_proxy()


def test_the_document_knows_every_word_that_the_app_says() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for words in (PromotionStatus, StageStatus, FailureKind, Kind, ReplayOutcome):
        assert schemas[words.__name__]["enum"] == list(words)
    assert schemas["StepStatus"]["enum"] == list(StepStatus)


def test_the_document_is_served(app: dict[str, Any], session: requests.Session, headers: dict[str, str]) -> None:
    assert session.get(app["functions"]["url"] + "/api/openapi.json", headers=headers).json() == DOCUMENT


@pytest.fixture(scope="module")
def started(app: dict[str, Any]) -> str:
    """The id of a promotion that the app knows. Its version does not exist, so it soon fails."""
    reply = requests.post(
        app["functions"]["url"] + "/api/promotions",
        json={"model": "digits", "version": "404", "reason": "to have one"},
        headers={"x-functions-key": app["functions"]["keys"]["default"]},
        timeout=PATIENCE,
    )
    assert reply.status_code == 202
    # The first look at Azure loads its SDK, which takes some seconds.
    url = app["functions"]["url"] + "/api/plans/digits/1?capacity=true"
    assert requests.get(url, headers={"x-functions-key": app["functions"]["keys"]["default"]}, timeout=PATIENCE).ok
    return str(reply.json()["id"])


@pytest.mark.parametrize(("path", "method"), operations(DOCUMENT))
def test_the_app_answers_as_the_document_says(
    path: str, method: str, app: dict[str, Any], session: requests.Session, headers: dict[str, str], started: str
) -> None:
    known = {"id": started, "route": "digits", "model": "digits", "stage": "prod"}
    ask_all(described(DOCUMENT, path, method), known, app["functions"]["url"] + "/api", session, headers)
