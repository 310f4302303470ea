"""Sends a running app requests that fit its OpenAPI document and requests that do not, and checks each answer."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import SearchStrategy, one_of
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

EXAMPLES = 60
#: Seconds to wait for an answer: the health checks of a busy machine take some, and ten is the library's own limit.
PATIENCE = 300.0

load_all_checks()
#: The platform's answers, not ours: 404 for a method that no function handles.
_OF_THE_PLATFORM = {"unsupported_method", "allow_header_conformance"}
#: What fits the document can still name a model that no route takes.
_TOO_STRICT = {"positive_data_acceptance"}
_NAMES = [name for name in CHECKS.get_all_names() if name not in _OF_THE_PLATFORM | _TOO_STRICT]
CHECKED: list[Any] = list(CHECKS.get_by_names(_NAMES))


def operations(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Path and method of each."""
    return [(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"]


def described(document: Mapping[str, Any], path: str, method: str) -> Any:
    """One operation. Keys and people are tested elsewhere. If they were left in, credentials would be made up here."""
    return schemathesis.openapi.from_dict({**document, "security": []})[path][method.upper()]


def ask_all(
    operation: Any, known: Mapping[str, str], address: str, session: requests.Session, headers: Mapping[str, str]
) -> None:
    """Requests about existing things (`known`: path parameters by name) and others. `address` ends in `/api`."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=_cases(operation, known))
    def ask(case: Any) -> None:
        url = urlsplit(str(requests.Request(**case.as_transport_kwargs(base_url=address)).prepare().url))
        assume(all(value for _, value in parse_qsl(url.query, keep_blank_values=True)))  # the platform drops empty ones
        assume("%0A" not in url.path)  # the local host takes no line break there
        case.call_and_validate(base_url=address, session=session, headers=headers, checks=CHECKED, timeout=PATIENCE)

    ask()


def _cases(operation: Any, known: Mapping[str, str]) -> SearchStrategy[Any]:
    """Requests that fit the document, and requests that do not."""
    named = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
    about_what_is_there = [operation.as_strategy(mode, path_parameters=named) for mode in GenerationMode if named]
    return one_of(*about_what_is_there, *(operation.as_strategy(mode) for mode in GenerationMode))


def session_without_proxy() -> Iterator[requests.Session]:
    """One connection to this machine."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
