"""The app's own functions, called as the host calls them, on a store and a configuration of their own."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.functions as func
import jwt
import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it comes without types

import shared.app
from shared.app.wiring import App
from shared.cloud.signing_keys import SigningKeys
from shared.config.sign_in import MODE
from shared.core.messages import Command, News, Outcome, Report, RunStep
from shared.http import openapi
from shared.http.authorisation import OPERATOR
from shared.http.sign_in import Verifier
from shared.ports import QueueUnavailableError
from tests.config.right import SETTINGS, changed
from tests.fakes.identity_provider import IdentityProvider, published
from tests.fakes.queues import FakeQueues
from tests.shared.sent_commands import SentCommands

APPROVER = "Promotion.Approver"
#: Settings of an app that accepts keys, and people who sign in.
KEYS_COUNT_TOO = {MODE: "optional", **IdentityProvider().settings}
ASKS = "        approval: {min: 2}\n"
#: Two routes, of which the second starts somewhere else; prod asks two people.
CONFIGURATION = (
    changed(
        (
            '      - environment: prod\n        endpoint: "{model}"\n',
            f'      - environment: prod\n        endpoint: "{{model}}"\n{ASKS}',
        )
    )
    + """\
  fraud:
    from: test
    models: ["fraud", "churn-two"]
    stages:
      - {environment: prod, endpoint: "x-{model}", deployment: deployments/fraud.yml}
"""
)


@dataclass
class KeptBus:
    """A bus that keeps its messages. While it is down, nothing can be sent."""

    commands: list[Command] = field(default_factory=list)
    down: bool = False
    found_out: bool = True  #: whether anybody knows that it is down

    def check(self) -> None:
        if self.down and self.found_out:
            raise QueueUnavailableError("the broker is not there", retry_after=2.0)

    def send_events(self, events: Sequence[News]) -> None:
        raise AssertionError("requests are applied at once")

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        raise AssertionError("no worker runs here")

    def send_commands(self, commands: Sequence[Command]) -> None:
        if self.down:
            self.found_out = True
            raise QueueUnavailableError("the broker is not there", retry_after=2.0)
        self.commands += commands


@dataclass(frozen=True)
class Reply:
    """What a function answered."""

    status: int
    headers: Mapping[str, str]
    body: Any


#: Signs the tokens of everybody here; nothing asks it over HTTP.
ISSUER = IdentityProvider()
ALICE = ISSUER.headers("alice", OPERATOR)
BOB = ISSUER.headers("bob", APPROVER)
CAROL = ISSUER.headers("carol", APPROVER)
#: What App Service authentication would add. The app ignores it.
FORGED = {
    "X-MS-CLIENT-PRINCIPAL": base64.b64encode(
        json.dumps(
            {"auth_typ": "aad", "claims": [{"typ": "oid", "val": "x"}, {"typ": "roles", "val": OPERATOR}]}
        ).encode()
    ).decode()
}


class Api:
    """The HTTP API without a host in front of it."""

    def __init__(self, app: App, bus: KeptBus) -> None:
        self.app = app
        self.bus = bus

    def get(self, address: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self._ask("GET", address, b"", headers or {})

    def post(self, address: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        """`body`: JSON, or bytes as they are."""
        written = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", address, written, headers or {})

    def ask(self, method: str, address: str, content: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        return self._ask(method, address, content, headers or {})

    def start(self, version: str, headers: Mapping[str, str] | None = None, **more: str) -> str:
        """Start a promotion of churn-eu; its id."""
        body = {"model": "churn-eu", "version": version, "reason": "a test", **more}
        started = self.post("promotions", body, headers)
        assert started.status == 202, started.body
        return str(started.body["id"])

    def statuses(self) -> dict[str, str]:
        """The status of each version's last promotion."""
        newest_first = self.get("promotions").body["value"]
        return {each["version"]: str(each["status"]) for each in reversed(newest_first)}

    @property
    def steps(self) -> list[RunStep]:
        """The steps that wait for a worker."""
        return [command for command in self.bus.commands if isinstance(command, RunStep)]

    def run(self, outcomes: Mapping[tuple[str, str], Outcome] | None = None) -> None:
        """Answer all commands until none is left, as workers would; `outcomes` by stage and step."""
        SentCommands(
            self.app.lanes, self.bus.commands, lambda command: (outcomes or {}).get((command.stage, command.step))
        ).run()

    def _ask(self, method: str, address: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Call the function whose route fits. Its answer must be in the OpenAPI document."""
        parts = urlsplit(address)
        for route, methods, function in http_functions():
            named = _match(route, parts.path)
            if named is None or method not in methods:
                continue
            url, query = f"https://app.test/api/{address}", dict(parse_qsl(parts.query))
            reply = function(
                func.HttpRequest(method, url, headers=headers, params=query, route_params=named, body=body)
            )
            document = json.loads(reply.get_body())
            check_described(f"/{route}", method, reply.status_code, reply.mimetype, document)
            return Reply(reply.status_code, reply.headers, document)
        raise AssertionError(f"no function takes {method} {address}")


@cache
def http_triggers() -> list[tuple[Any, Any]]:
    """Trigger and function of each; an app can be indexed only once."""
    import function_app  # here, since indexing reads the configuration

    triggers: list[Any] = [(each.get_trigger(), each) for each in function_app.app.get_functions()]
    return [(trigger, function) for trigger, function in triggers if trigger.type == "httpTrigger"]


def http_functions() -> list[tuple[str, set[str], Callable[[func.HttpRequest], func.HttpResponse]]]:
    """Route, methods and function of each."""
    return [
        (trigger.route, {method.value for method in trigger.methods}, function.get_user_function())
        for trigger, function in http_triggers()
    ]


def key_levels() -> dict[str, str]:
    """By route: which key the host asks for."""
    return {trigger.route: trigger.auth_level.name for trigger, _ in http_triggers()}


def _match(route: str, path: str) -> dict[str, str] | None:
    """The route's parameters in a path; None if it is another one."""
    template, given = route.split("/"), [unquote(part) for part in path.split("/")]
    pairs = list(zip(template, given, strict=False))
    if len(template) != len(given) or any(part != text for part, text in pairs if not part.startswith("{")):
        return None
    return {part[1:-1]: text for part, text in pairs if part.startswith("{")}


def check_described(path: str, method: str, status: int, kind: str, document: Any) -> None:
    """Assert that the OpenAPI document has this answer."""
    responses = openapi.document()["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} may not answer {status}: {document}"
    response = responses[str(status)]
    place = response.get("$ref", "").removeprefix("#/components/responses/")
    schema = (openapi.document()["components"]["responses"][place] if place else response)["content"][kind]["schema"]
    components = {"components": openapi.document()["components"]}
    Draft202012Validator(components | schema, format_checker=FormatChecker()).validate(document)


@pytest.fixture
def settings() -> dict[str, str]:
    """Of the app, beside its files; tests override it."""
    return KEYS_COUNT_TOO


@pytest.fixture
def configuration() -> str:
    """The app's own file; tests override it."""
    return CONFIGURATION


@pytest.fixture
def api(unverified_api: Api) -> Api:
    """To which the people of `ISSUER` can sign in."""
    app = unverified_api.app
    if app.verifier:
        keys = {kid: jwt.PyJWK(published(kid)) for kid in ISSUER.keys}
        app.verifier = Verifier(app.verifier.settings, SigningKeys(lambda: keys))
    return unverified_api


@pytest.fixture
def unverified_api(tmp_path: Path, settings: dict[str, str], configuration: str) -> Iterator[Api]:
    (tmp_path / "promotion.yml").write_text(configuration, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        every = (
            SETTINGS
            | settings
            | {
                "MLPROMOTE_CONFIGURATION": str(tmp_path / "promotion.yml"),
                "MLPROMOTE_STORE": str(tmp_path / "promotions.sqlite"),
            }
        )
        for name, value in every.items():
            environment.setenv(name, value)
        shared.app.app.cache_clear()
        bus = KeptBus()
        app = shared.app.app()
        app.bus = bus
        app.look = lambda command: None  # type: ignore[method-assign]  # there is no Azure to look at
        yield Api(app, bus)
        shared.app.app.cache_clear()


@pytest.fixture
def queues(api: Api) -> FakeQueues:
    """Their dead letters are the app's; what the app sends of its own stays in `api.bus`."""
    queues = FakeQueues()
    api.app.dead_letters = queues
    return queues
