"""An environment's own app matches its OpenAPI document, tested like the coordinator's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import requests

from localcloud.up import LocalCloud
from shared.cloud.sqlite_approvals import SqliteApprovals
from shared.http import openapi
from shared.ports import ApprovalRequest
from tests.contract.test_approvals import REQUEST
from tests.functions.conforming import CHECKED, ask_all, described, operations, session_without_proxy
from tests.functions.running import describe
from tests.signing_in import bearer

DOCUMENT = openapi.approvals_document()
#: One for each way in which a request can end.
STAGES = ("prod", "approved", "rejected")
ASKED = {stage: replace(REQUEST, stage=stage, digest=f"digest-of-{stage}") for stage in STAGES}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The addresses of a local cloud that runs prod's own app, which has asked for approval."""
    data = tmp_path_factory.mktemp("approvals") / "data"
    own = {"ENVIRONMENTS": "prod", "MLPROMOTE_CONFIGURATION": "tests/e2e/own_approvals/promotion.yml"}
    async with LocalCloud(describe(**own), data) as cloud:
        kept = SqliteApprovals(data / "promotions.sqlite")
        for request in ASKED.values():
            kept.ask(until_tomorrow(request))
        yield cloud.addresses


def until_tomorrow(request: ApprovalRequest) -> ApprovalRequest:
    now = datetime.now(UTC)
    return replace(request, asked=now, until=now + timedelta(days=1))


@pytest.fixture(scope="module")
def headers(app: dict[str, Any]) -> dict[str, str]:
    """Of somebody who may do everything."""
    return {"x-functions-key": app["functions"]["keys"]["default"], **bearer(app, "alice")}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    yield from session_without_proxy()


def test_the_document_is_served(app: dict[str, Any], session: requests.Session, headers: dict[str, str]) -> None:
    url = app["functions"]["url"] + "/api/approvals/openapi.json"
    assert session.get(url, headers=headers).json() == DOCUMENT


def test_it_takes_only_what_it_needs_from_the_coordinators_document() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {"ApprovalRequest", "Decide", "Health", "Problem"} <= set(schemas)
    assert not {"Promotion", "Start"} & set(schemas)


def test_every_function_of_the_app_with_an_address_is_described(app: dict[str, Any], session: requests.Session) -> None:
    keys = {"x-functions-key": app["functions"]["keys"]["master"]}
    functions = session.get(app["functions"]["url"] + "/admin/functions", headers=keys).json()
    triggers = [binding for each in functions for binding in each["config"]["bindings"] if "route" in binding]
    served = {(f"/{each['route']}", method.lower()) for each in triggers for method in each["methods"]}
    assert served == set(operations(DOCUMENT))


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_decision_on_what_was_shown_is_answered_as_the_document_says(
    decision: str, app: dict[str, Any], session: requests.Session, headers: dict[str, str]
) -> None:
    asked = ASKED[{"approve": "approved", "reject": "rejected"}[decision]]
    operation = described(DOCUMENT, f"/approvals/{{promotion}}/{{stage}}/{decision}", "post")
    case = operation.Case(
        path_parameters={"promotion": asked.promotion, "stage": asked.stage},
        body={"reason": "seen", "evidence": asked.digest},
        media_type="application/json",
    )
    base_url = app["functions"]["url"] + "/api"
    answer = case.call_and_validate(base_url=base_url, session=session, headers=headers, checks=CHECKED)
    assert answer.status_code == 202
    assert [each["name"] for each in answer.json()["request"]["decisions"]] == ["alice"]


@pytest.mark.parametrize(("path", "method"), operations(DOCUMENT))
def test_the_app_answers_as_the_document_says(
    path: str, method: str, app: dict[str, Any], session: requests.Session, headers: dict[str, str]
) -> None:
    known = {"promotion": REQUEST.promotion, "stage": "prod"}
    ask_all(described(DOCUMENT, path, method), known, app["functions"]["url"] + "/api", session, headers)
