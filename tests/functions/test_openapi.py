"""The app that runs is the one that its OpenAPI document describes: asked with all that fits the document, and not."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import SearchStrategy, one_of
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from localcloud.up import LocalCloud
from shared.coordinator.failures.replay import ReplayOutcome
from shared.core.messages import FailureKind, Kind
from shared.core.promotion import PromotionStatus, StageStatus, StepStatus
from shared.http import openapi
from tests.functions.running import describe
from tests.signing_in import bearer

DOCUMENT = openapi.document()
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"]
#: Keys and people are tested elsewhere; left in, credentials would be made up here.
DESCRIBED = DOCUMENT | {"security": []}
EXAMPLES = 60

load_all_checks()
#: Not ours to answer: the platform says 404 to a method that no function takes.
OF_THE_PLATFORM = {"unsupported_method", "allow_header_conformance"}
#: What fits the document can still name a model that no route takes.
TOO_STRICT = {"positive_data_acceptance"}
NAMES = [name for name in CHECKS.get_all_names() if name not in OF_THE_PLATFORM | TOO_STRICT]
CHECKED: list[Any] = list(CHECKS.get_by_names(NAMES))


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
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_the_document_knows_every_word_that_the_app_says() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for words in (PromotionStatus, StageStatus, FailureKind, Kind, ReplayOutcome):
        assert schemas[words.__name__]["enum"] == list(words)
    assert schemas["StepStatus"]["enum"] == list(StepStatus)


def test_the_document_is_served(app: dict[str, Any], session: requests.Session, headers: dict[str, str]) -> None:
    assert session.get(app["functions"]["url"] + "/api/openapi.json", headers=headers).json() == DOCUMENT


@pytest.fixture(scope="module")
def started(app: dict[str, Any]) -> str:
    """The id of a promotion that the app knows; its version is not there, so that it soon fails."""
    reply = requests.post(
        app["functions"]["url"] + "/api/promotions",
        json={"model": "digits", "version": "404", "reason": "to have one"},
        headers={"x-functions-key": app["functions"]["keys"]["default"]},
        timeout=20,
    )
    assert reply.status_code == 202
    return str(reply.json()["id"])


def cases(path: str, method: str, known: dict[str, str]) -> SearchStrategy[Any]:
    """Requests that fit the document, and requests that do not; about things that are there, and others."""
    operation = schemathesis.openapi.from_dict(DESCRIBED)[path][method.upper()]
    named = {name: value for name, value in known.items() if f"{{{name}}}" in path}
    about_what_is_there = [operation.as_strategy(mode, path_parameters=named) for mode in GenerationMode if named]
    return one_of(*about_what_is_there, *(operation.as_strategy(mode) for mode in GenerationMode))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_app_answers_as_the_document_says(
    path: str, method: str, app: dict[str, Any], session: requests.Session, headers: dict[str, str], started: str
) -> None:
    known = {"id": started, "route": "digits", "model": "digits", "stage": "prod"}
    address = app["functions"]["url"] + "/api"

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=cases(path, method, known))
    def ask(case: Any) -> None:
        url = urlsplit(str(requests.Request(**case.as_transport_kwargs(base_url=address)).prepare().url))
        assume(all(value for _, value in parse_qsl(url.query, keep_blank_values=True)))  # the platform drops empty ones
        assume("%0A" not in url.path)  # the local host takes no line break there
        case.call_and_validate(base_url=address, session=session, headers=headers, checks=CHECKED)

    ask()
