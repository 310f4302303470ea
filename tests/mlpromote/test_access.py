"""Where the command line finds the app, and as whom it asks."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mlpromote.local_identity import token_of
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, Request, StubApp, problem

EMPTY = Answer({"value": [], "next_link": None})


@pytest.fixture
def local(tmp_path: Path, app: StubApp, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a local cloud that runs the app; nothing else says where the app is."""
    monkeypatch.delenv("MLPROMOTE_URL")
    monkeypatch.delenv("MLPROMOTE_KEY")
    addresses = {
        "functions": {"url": app.url, "keys": {"default": "local-key", "master": "never-this"}},
        "people": {"alice": {"client_id": "id-of-alice", "roles": ["Promotion.Operator"]}},
        "sign_in": {"resource": "api://local-app"},
        "identity": {"endpoint": f"{app.url}/identity", "header": "the-header"},
    }
    folder = tmp_path / ".local"
    folder.mkdir()
    (folder / "addresses.json").write_text(json.dumps(addresses), encoding="utf-8")

    def answer(request: Request) -> Answer:
        if request.path != "/identity":
            return EMPTY
        assert (request.query["resource"], request.query["client_id"]) == ("api://local-app", "id-of-alice")
        assert request.headers["X-IDENTITY-HEADER"] == "the-header"
        return Answer({"access_token": "token-of-alice", "expires_on": "9999999999"})

    app.will_answer(answer)
    return folder


def credentials(app: StubApp) -> tuple[str | None, str | None]:
    """The key and the authorization that the last request came with."""
    headers = app.asked[-1].headers
    return headers.get("x-functions-key"), headers.get("Authorization")


def test_the_app_and_the_key_come_from_variables(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(EMPTY)
    assert mlpromote("list").code == 0
    assert app.asked[0].path == "/api/promotions"
    assert credentials(app) == ("the-key", None)


def test_options_come_before_variables_wherever_they_stand(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.will_answer(EMPTY)
    monkeypatch.setenv("MLPROMOTE_URL", "http://127.0.0.1:9")
    for arguments in (["--key", "mine", "list", "--url", app.url], ["--url", app.url, "list", "--key", "mine"]):
        assert mlpromote(*arguments).code == 0
        assert credentials(app) == ("mine", None)


@pytest.mark.parametrize("end", ["", "/", "/api", "/api/"])
def test_an_address_may_be_written_with_the_api_or_without(end: str, mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(EMPTY)
    assert mlpromote("--url", app.url + end, "list").code == 0
    assert app.asked[0].path == "/api/promotions"


def test_a_token_goes_beside_the_key(mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app.will_answer(EMPTY)
    monkeypatch.setenv("MLPROMOTE_TOKEN", "from-the-environment")
    mlpromote("list")
    assert credentials(app) == ("the-key", "Bearer from-the-environment")
    mlpromote("list", "--token", "given")
    assert credentials(app) == ("the-key", "Bearer given")


@pytest.fixture
def entra(app: StubApp, monkeypatch: pytest.MonkeyPatch) -> StubApp:
    """The real azure-identity gets its tokens from the stub, as the managed identity of where it runs."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{app.url}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    return app


def test_entra_id_is_asked_for_a_token_for_the_scope(
    mlpromote: CommandLine, entra: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> Answer:
        if request.path != "/identity":
            return EMPTY
        assert request.query["resource"] == "api://the-app"
        token = {"access_token": "from-entra", "expires_on": "9999999999", "resource": "x", "token_type": "Bearer"}
        return Answer(token)

    entra.will_answer(answer)
    monkeypatch.setenv("MLPROMOTE_TOKEN", "less than an option")
    assert mlpromote("list", "--scope", "api://the-app/.default").code == 0
    assert credentials(entra) == ("the-key", "Bearer from-entra")


def test_without_a_token_of_entra_id_it_is_said_how_to_sign_in(
    mlpromote: CommandLine, entra: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    entra.will_answer(Answer({"statusCode": 400, "message": "no such identity"}, 400))
    monkeypatch.setenv("MLPROMOTE_SCOPE", "api://the-app/.default")
    ended = mlpromote("list")
    assert ended.code == 3
    assert "sign in with `az login --scope api://the-app/.default`" in ended.errors


def test_a_local_cloud_that_runs_here_is_used_and_named(mlpromote: CommandLine, app: StubApp, local: Path) -> None:
    ended = mlpromote("list")
    assert ended.code == 0
    assert credentials(app) == ("local-key", None)
    assert f"Using the local cloud in .local, {app.url}." in ended.errors
    assert "local-key" not in ended.output + ended.errors


def test_a_person_of_the_local_cloud_is_picked_by_name(mlpromote: CommandLine, app: StubApp, local: Path) -> None:
    ended = mlpromote("list", "--as", "alice")
    assert credentials(app) == ("local-key", "Bearer token-of-alice")
    assert "as alice" in ended.errors
    assert "token-of-alice" not in ended.output + ended.errors


def test_a_context_of_a_local_cloud_can_sign_in_as_a_person(mlpromote: CommandLine, app: StubApp, local: Path) -> None:
    saved = mlpromote("context", "add", "trial", "--local", str(local), "--as", "alice", "--use")
    assert saved.code == 0, saved.errors
    ended = mlpromote("list")
    assert credentials(app) == ("local-key", "Bearer token-of-alice")
    assert " ".join(ended.errors.split()) == f"Using the context trial, {app.url}, as alice."
    shown = " ".join(mlpromote("context", "show").output.split())
    assert shown == f"context trial: {local}, as alice"
    mlpromote("list", "--token", "another")
    assert credentials(app) == ("local-key", "Bearer another"), "a token says who one is"
    assert "has no person 'dora'" in " ".join(mlpromote("list", "--as", "dora").errors.split())


def test_a_token_is_used_until_it_is_about_to_end(app: StubApp) -> None:
    addresses = {
        "people": {"alice": {"client_id": "id-of-alice"}},
        "sign_in": {"resource": "api://local-app"},
        "identity": {"endpoint": app.url, "header": "the-header"},
    }
    token = token_of(addresses, "alice")
    first = {"access_token": "first", "expires_on": str(int(time.time()) + 600)}
    about_to_end = {"access_token": "second", "expires_on": str(int(time.time()) + 60)}
    app.will_answer(Answer(first))
    assert (token(), token(), len(app.asked)) == ("first", "first", 1)
    ending = token_of(addresses, "alice")
    app.will_answer(Answer(about_to_end), Answer(first))
    assert (ending(), ending(), ending(), len(app.asked)) == ("second", "first", "first", 3)


def test_where_the_local_cloud_gives_no_token_it_is_said_why(mlpromote: CommandLine, app: StubApp, local: Path) -> None:
    app.will_answer(Answer({"message": "no"}, 401))
    ended = mlpromote("list", "--as", "alice")
    assert ended.code == 3
    assert "issued no token for alice: 401" in ended.errors


def test_a_caller_who_has_not_signed_in_is_told_how_to(mlpromote: CommandLine, app: StubApp, local: Path) -> None:
    refusal = {"title": "Not allowed", "status": 403, "detail": "Sign in: a function key alone may read and start."}
    app.will_answer(Answer(refusal, 403))
    ended = mlpromote("list")
    assert ended.code == 3
    assert "Sign in: a function key alone may read and start. To sign in: --as NAME (one of: alice)." in (
        " ".join(ended.errors.split())
    )


def test_a_local_cloud_that_was_named_is_not_named_again(
    mlpromote: CommandLine, app: StubApp, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = local.rename(local.with_name("elsewhere"))
    assert mlpromote("list", "--local", str(other)).errors == ""
    monkeypatch.setenv("MLPROMOTE_LOCAL", str(other))
    assert mlpromote("--as", "alice", "list").errors == ""
    assert credentials(app) == ("local-key", "Bearer token-of-alice")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--as", "dora"], "--as: the local cloud has no person 'dora'. Known: alice."),
        (["--url", "https://app.test", "--as", "alice"], "cannot be used with --url"),
        (["--local", "nowhere"], "No local cloud is running in nowhere"),
        (["--url", "app.test"], "'app.test' is not the address of an app"),
        (["--url", "http://["], "is not the address of an app"),
        (["--url", "http://app.test", "--key", "k"], "use https"),
    ],
)
@pytest.mark.usefixtures("local")
def test_an_invalid_request_is_a_usage_error_in_words(arguments: list[str], says: str, mlpromote: CommandLine) -> None:
    ended = mlpromote("list", *arguments)
    assert (ended.code, ended.output) == (2, "")
    assert says in ended.errors


def test_a_person_without_a_local_cloud_is_a_usage_error(mlpromote: CommandLine, app: StubApp) -> None:
    ended = mlpromote("list", "--as", "alice")
    assert ended.code == 2
    assert "MLPROMOTE_URL is set" in ended.errors


def test_without_any_address_it_is_said_how_to_give_one(mlpromote: CommandLine) -> None:
    ended = mlpromote("list")
    assert ended.code == 2
    assert "give --url or set MLPROMOTE_URL. No local cloud is running in .local" in ended.errors


@pytest.mark.parametrize("content", ["{", json.dumps({"functions": None, "people": {}})])
def test_addresses_that_cannot_be_used_are_a_sentence(content: str, tmp_path: Path, mlpromote: CommandLine) -> None:
    (tmp_path / "addresses.json").write_text(content)
    ended = mlpromote("--local", str(tmp_path), "list")
    assert ended.code == 2
    assert "mlpromote: " in ended.errors


def test_the_key_never_goes_to_another_address(mlpromote: CommandLine, app: StubApp) -> None:
    with StubApp().serving() as other:
        app.will_answer(Answer(status=302, headers={"Location": other.url}))
        assert mlpromote("list").code == 5
        app.will_answer(Answer({"value": [], "next_link": f"{other.url}/api/promotions?continuation=a%20b"}), EMPTY)
        assert mlpromote("list").code == 0
        assert other.asked == []
    asked: Any = app.asked[-1].query
    assert asked["continuation"] == "a b"


def test_at_an_address_on_this_machine_it_is_said_how_people_of_a_local_cloud_sign_in(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(problem(403, "Sign in: a function key alone may read and start."))
    ended = mlpromote("cancel", "p", "--reason", "x")
    assert "--local FOLDER --as NAME" in ended.errors
    assert "--scope" not in ended.errors


def test_in_a_shell_with_the_variables_of_a_local_cloud_people_sign_in_by_name(
    mlpromote: CommandLine, app: StubApp, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mlpromote("env", "--json").document.items():
        monkeypatch.setenv(name, value)
    assert mlpromote("list").code == 0
    assert "Authorization" not in app.asked[-1].headers
    assert mlpromote("--as", "alice", "list").code == 0
    assert "Authorization" in app.asked[-1].headers


def test_in_a_shell_with_the_variables_of_a_person_every_command_is_that_persons(
    mlpromote: CommandLine, app: StubApp, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = mlpromote("--as", "alice", "env", "--json").document
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert mlpromote("list").code == 0
    assert app.asked[-1].headers["Authorization"] == f"Bearer {variables['MLPROMOTE_TOKEN']}"
    monkeypatch.setenv("MLPROMOTE_URL", "https://other.test")
    assert mlpromote("list").code == 0
    assert "Authorization" not in app.asked[-1].headers
