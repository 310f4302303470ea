"""Several apps, each with a name; and what a shell is told."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from mlpromote.login import ROLES
from shared.config.platform import PUBLISHER
from shared.core.promotion import APPROVER
from shared.http.authorisation import OPERATOR, READER
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, StubApp

EMPTY = Answer({"value": [], "next_link": None})


@pytest.fixture
def saved(app: StubApp, mlpromote: CommandLine, monkeypatch: pytest.MonkeyPatch) -> StubApp:
    """The app is known as `prod`, and by nothing else."""
    monkeypatch.delenv("MLPROMOTE_URL")
    monkeypatch.delenv("MLPROMOTE_KEY")
    app.will_answer(EMPTY)
    assert mlpromote("context", "add", "prod", "--url", app.url).code == 0
    return app


def token(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.signature"


def test_a_context_is_used_once_or_from_now_on_and_named_each_time(saved: StubApp, mlpromote: CommandLine) -> None:
    assert mlpromote("list").code == ExitCode.USAGE
    once = mlpromote("--context", "prod", "list")
    assert (once.code, " ".join(once.errors.split())) == (0, f"Using the context prod, {saved.url}.")
    assert mlpromote("context", "use", "prod").code == 0
    assert "Using the context prod" in mlpromote("list").errors
    [row] = mlpromote("context", "list", "--json").document
    assert (row["name"], row["used"], row["url"]) == ("prod", True, saved.url)


def test_an_address_given_otherwise_comes_before_the_context_in_use(
    saved: StubApp, mlpromote: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlpromote("context", "use", "prod")
    with StubApp().serving() as other:
        other.will_answer(EMPTY)
        assert mlpromote("list", "--url", other.url).errors == ""
        monkeypatch.setenv("MLPROMOTE_URL", other.url)
        assert mlpromote("list").errors == ""
        assert len(other.asked) == 2
        assert "Using the context prod" in mlpromote("list", "--context", "prod").errors
    assert len(saved.asked) == 1


def test_a_context_shows_who_one_was_at_the_last_login(saved: StubApp, mlpromote: CommandLine) -> None:
    mlpromote("context", "use", "prod")
    shown = " ".join(mlpromote("context", "show").output.split())
    assert shown == f"context prod: {saved.url}; `mlpromote login` shows who you are there"
    assert mlpromote("login", "--token", token(name="Alice")).code == 0
    shown = " ".join(mlpromote("context", "show").output.split())
    assert shown == f"context prod: {saved.url}, as Alice (at the last login)"
    assert "Alice (at the last login)" in mlpromote("context", "list", "-o", "wide").output
    assert mlpromote("context", "list", "--json").document[0]["seen"] == "Alice"
    mlpromote("login", "--token", token(name="Bob"))
    assert mlpromote("context", "show", "prod", "--json").document["seen"] == "Bob"


def test_a_login_elsewhere_or_one_that_is_refused_says_nothing_of_a_context(
    saved: StubApp, mlpromote: CommandLine
) -> None:
    mlpromote("context", "use", "prod")
    assert mlpromote("login", "--url", saved.url, "--token", token(name="Alice")).code == 0
    saved.will_answer(Answer({"title": "No", "status": 403, "detail": "You need a role."}, 403))
    assert mlpromote("login", "--token", token(name="Mallory")).code == ExitCode.NOT_ALLOWED
    assert mlpromote("context", "show", "--json").document["seen"] is None


def test_without_a_context_in_use_there_is_none_to_show(mlpromote: CommandLine) -> None:
    ended = mlpromote("context", "show")
    assert (ended.code, ended.output) == (ExitCode.NOT_FOUND, "")
    assert "Choose one with `mlpromote context use NAME`." in " ".join(ended.errors.split())


def test_a_file_of_a_later_version_is_read(saved: StubApp, mlpromote: CommandLine, tmp_path: Path) -> None:
    [file] = (tmp_path / "their-configuration").rglob("contexts.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["contexts"]["prod"]["colour"] = "red"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert mlpromote("context", "use", "prod").code == 0


def test_a_removed_context_is_no_longer_used(saved: StubApp, mlpromote: CommandLine) -> None:
    mlpromote("context", "use", "prod")
    assert mlpromote("context", "remove", "prod").code == 0
    assert mlpromote("list").code == ExitCode.USAGE
    assert "There is no context 'prod'. Known: none" in mlpromote("context", "use", "prod").errors


def test_no_secret_gets_into_the_file(saved: StubApp, mlpromote: CommandLine, tmp_path: Path) -> None:
    mlpromote("context", "add", "test", "--url", saved.url, "--key", "the-secret", "--token", "another-secret")
    [file] = (tmp_path / "their-configuration").rglob("contexts.json")
    text = file.read_text(encoding="utf-8")
    assert "test" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["context", "add", "x"], "Give the address of the app"),
        (["context", "add", "x", "--url", "http://far.test"], "use https"),
        (["context", "add", "x", "--url", "https://far.test", "--as", "alice"], "--as is for a local cloud"),
        (["list", "--context", "nope"], "There is no context 'nope'. Known: prod."),
        (["list", "--context", "prod", "--url", "https://app.test"], "leave out --url"),
        (["list", "--context", "prod", "--as", "alice"], "--as needs a local cloud"),
    ],
)
@pytest.mark.usefixtures("saved")
def test_a_context_that_cannot_be_used_is_a_usage_error(
    arguments: list[str], says: str, mlpromote: CommandLine
) -> None:
    ended = mlpromote(*arguments)
    assert ended.code == ExitCode.USAGE
    assert says in " ".join(ended.errors.split())


def test_a_damaged_file_is_named(saved: StubApp, mlpromote: CommandLine, tmp_path: Path) -> None:
    [file] = (tmp_path / "their-configuration").rglob("contexts.json")
    file.write_text("{", encoding="utf-8")
    ended = mlpromote("list")
    assert ended.code == ExitCode.USAGE
    assert str(file) in ended.errors.replace("\n", "")


def test_login_shows_who_one_is_and_what_each_role_allows(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(EMPTY)
    alice = token(name="Alice", roles=["Promotion.Operator", "Own.Role"], exp=1795218400, tid="the-tenant")
    ended = mlpromote("login", "--token", alice)
    assert ended.code == 0
    lines = [" ".join(line.split()) for line in ended.output.splitlines()]
    assert lines[:4] == [
        f"app {app.url}/api",
        "you Alice",
        "role Own.Role: a role of your own",
        "role Promotion.Operator: start, cancel, retry, roll back and replay",
    ]
    document = mlpromote("login", "--token", alice, "--json").document
    assert (document["name"], document["tenant"]) == ("Alice", "the-tenant")
    assert "e30." not in ended.output


def test_login_knows_every_role_of_the_app() -> None:
    assert set(ROLES) == {READER, OPERATOR, APPROVER, PUBLISHER}


def test_login_with_a_key_alone_says_how_to_sign_in(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(EMPTY)
    told = " ".join(mlpromote("login").output.split())
    assert "not signed in, with a function key: may read and start, nothing else To sign in: " in told


def test_login_ends_with_3_if_the_app_does_not_accept_the_token(mlpromote: CommandLine, app: StubApp) -> None:
    assert mlpromote("login", "--token", "not-a-token").code == ExitCode.NOT_ALLOWED
    app.will_answer(Answer({"title": "No", "status": 403, "detail": "You need a role."}, 403))
    ended = mlpromote("login", "--token", token(name="Bob", roles=["Promotion.Publisher"]))
    assert (ended.code, "You need a role." in ended.errors) == (ExitCode.NOT_ALLOWED, True)
    assert "you    Bob" in ended.output.splitlines()
    assert "role   Promotion.Publisher: publish to the sources" in ended.output


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The folder of a local cloud, whose key needs quotes in every shell."""
    folder = tmp_path / ".local"
    folder.mkdir()
    addresses = {"functions": {"url": "http://127.0.0.1:7071", "keys": {"default": "it's $HOME"}}, "people": {}}
    (folder / "addresses.json").write_text(json.dumps(addresses), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("local")
def test_env_sets_the_variables_of_the_local_cloud_in_bash(mlpromote: CommandLine) -> None:
    script = mlpromote("env", "--shell", "bash").output + 'printf "%s|%s" "$MLPROMOTE_URL" "$MLPROMOTE_KEY"'
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "http://127.0.0.1:7071|it's $HOME"


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx MLPROMOTE_KEY 'it\\'s $HOME'"),
        ("powershell", "$env:MLPROMOTE_KEY = 'it''s $HOME'"),
    ],
)
def test_env_quotes_as_other_shells_do(shell: str, line: str, mlpromote: CommandLine) -> None:
    assert mlpromote("env", "--shell", shell).output.splitlines()[1] == line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_there_is_a_completion_for_every_shell(shell: str, mlpromote: CommandLine) -> None:
    ended = mlpromote("completion", shell)
    assert ended.code == 0
    assert "_MLPROMOTE_COMPLETE" in ended.output


@pytest.mark.parametrize(
    ("words", "position", "offered"),
    [
        ("mlpromote ", 1, {"list", "show", "approve"}),
        ("mlpromote sh", 1, {"show"}),
        ("mlpromote list --st", 2, {"--status"}),
        ("mlpromote list --status roll", 3, {"rolled-back"}),
        ("mlpromote context ", 2, {"add", "use", "show", "list", "remove"}),
    ],
)
def test_commands_options_and_values_are_completed(
    words: str,
    position: int,
    offered: set[str],
    mlpromote: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_MLPROMOTE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(position))
    found = {line.partition(",")[2] for line in mlpromote().output.splitlines()}
    assert offered <= found
    assert "--token" not in found


def test_bash_accepts_the_completion(mlpromote: CommandLine) -> None:
    script = mlpromote("completion", "bash").output + "\ncomplete -p mlpromote"
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "_mlpromote_completion" in shown.stdout
