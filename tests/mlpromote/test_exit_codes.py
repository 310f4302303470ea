"""How commands end when something goes wrong: a sentence, an exit code, and no result."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from mlpromote.api import Api
from mlpromote.command_line import SECTIONS
from mlpromote.exit_codes import MEANINGS, ExitCode
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, summary
from tests.mlpromote.stub import Answer, Request, StubApp, problem

REPOSITORY = Path(__file__).parents[2]
COMMANDS = tuple(str(command.name) for section in SECTIONS for command in section.commands)
DEADLINE_SECONDS = 300


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (problem(400, "version: missing"), ExitCode.USAGE, "version: missing"),
        (Answer("", 401), ExitCode.NOT_ALLOWED, "the function key is wrong"),
        (problem(401, "Sign in."), ExitCode.NOT_ALLOWED, "Sign in."),
        (problem(403, "bob needs the role X"), ExitCode.NOT_ALLOWED, "bob needs the role X"),
        (problem(404, "There is no promotion x."), ExitCode.NOT_FOUND, "There is no promotion x."),
        (Answer("", 404), ExitCode.NO_ANSWER, "Is this the address of the app"),
        (problem(409, "it is queued"), ExitCode.REFUSED, "it is queued"),
        (problem(422, "used before"), ExitCode.USAGE, "used before"),
        (Answer("oh dear", 500, "text/plain"), ExitCode.NO_ANSWER, "failed with 500"),
        (problem(503, "Busy: try again."), ExitCode.NO_ANSWER, "Busy: try again."),
        (Answer("[1, 2]", 418), ExitCode.NO_ANSWER, "failed with 418"),
        (Answer("<html>", 200, "text/html"), ExitCode.NO_ANSWER, "did not return JSON"),
    ],
)
def test_an_error_of_the_app_is_its_sentence_and_an_exit_code(
    answer: Answer, code: ExitCode, says: str, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(answer)
    for arguments in (["show", "x"], ["show", "x", "--json"], ["cancel", "x", "--reason", "y"]):
        ended = mlpromote(*arguments)
        assert (ended.code, ended.output) == (code, "")
        assert says in ended.errors


def test_for_scripts_an_error_is_one_json_object_on_the_standard_error(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(problem(409, "it is queued", promotion={"id": "x", "status": "queued"}))
    ended = mlpromote("retry", "x", "--reason", "y", "--json")
    assert (ended.code, ended.output) == (ExitCode.REFUSED, "")
    told = json.loads(ended.errors)
    assert (told["exitCode"], told["detail"], told["promotion"]["status"]) == (1, "it is queued", "queued")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list"], ExitCode.USAGE),
        (["approve", "x"], ExitCode.USAGE),
        (["--url", "http://127.0.0.1:1", "list"], ExitCode.NO_ANSWER),
    ],
)
def test_for_scripts_an_error_that_the_app_does_not_know_of_is_json_as_well(
    arguments: list[str], code: ExitCode, mlpromote: CommandLine
) -> None:
    ended = mlpromote(*arguments, "--json")
    assert (ended.code, ended.output) == (code, "")
    assert json.loads(ended.errors).keys() == {"exitCode", "detail"}


@pytest.mark.parametrize(
    ("see", "command"), [("/api/promotions", "mlpromote list"), ("/api/routes", "mlpromote routes")]
)
def test_what_is_not_there_is_looked_for_with_a_command_and_not_with_an_address(
    see: str, command: str, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(problem(404, "There is no promotion nope.", see=see))
    errors = " ".join(mlpromote("show", "nope").errors.split())
    assert errors == f"mlpromote: There is no promotion nope. Run `{command}` to see what exists."


def test_it_tells_its_version(mlpromote: CommandLine) -> None:
    ended = mlpromote("--version")
    assert (ended.code, ended.output) == (0, f"mlpromote {version('mlpromote')}\n")


@pytest.mark.parametrize("body", [{}, [], {"value": None}])
def test_an_answer_that_is_not_a_list_is_not_from_our_app(body: object, mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(body))
    ended = mlpromote("list")
    assert ended.code == ExitCode.NO_ANSWER
    assert "did not return a list" in ended.errors


def test_a_caller_without_key_or_token_is_told_what_to_give(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.will_answer(Answer("", 401))
    monkeypatch.delenv("MLPROMOTE_KEY")
    assert "give a function key" in mlpromote("list").errors
    monkeypatch.setenv("MLPROMOTE_KEY", "old")
    assert "the function key is wrong" in mlpromote("list").errors


def test_a_bug_ends_with_a_code_of_its_own_and_with_what_is_needed_to_report_it(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer({"value": [{"no": "promotion"}], "next_link": None}))
    ended = mlpromote("list")
    assert (ended.code, ended.output) == (ExitCode.INTERNAL, "")
    assert ended.errors.startswith("Traceback")
    assert f"Report it with the lines above and the version, {version('mlpromote')}." in ended.errors


def test_for_scripts_a_bug_is_one_json_object_with_its_traceback(
    mlpromote: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "entries", lambda *_, **__: 1 / 0)
    ended = mlpromote("--url", "http://127.0.0.1:1", "list", "-o", "json")
    assert (ended.code, ended.output) == (ExitCode.INTERNAL, "")
    told = json.loads(ended.errors)
    assert (told["exitCode"], told["traceback"][0]) == (70, "Traceback (most recent call last):")


def test_an_app_that_does_not_exist_cannot_be_reached(mlpromote: CommandLine) -> None:
    with StubApp().serving() as gone:
        url = gone.url
    ended = mlpromote("--url", url, "list")
    assert ended.code == ExitCode.NO_ANSWER
    assert f"Cannot reach {url}/api: Connection refused" in ended.errors


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_fits_the_terminal(command: str, mlpromote: CommandLine) -> None:
    ended = mlpromote(command, "--help")
    assert ended.code == 0
    assert max(map(len, ended.output.splitlines())) <= 80


def test_the_help_names_every_command_exit_code_and_variable(mlpromote: CommandLine) -> None:
    text = mlpromote("--help").output
    assert max(map(len, text.splitlines())) <= 80
    for word in (*COMMANDS, *(f"MLPROMOTE_{name}" for name in ("URL", "KEY", "TOKEN", "SCOPE", "LOCAL"))):
        assert word in text
    for code in ExitCode:
        assert f"\n  {code:<5}{MEANINGS[code][:40]}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_the_connection_are_in_the_main_help_only(command: str, mlpromote: CommandLine) -> None:
    main, own = mlpromote("--help").output, mlpromote(command, "--help").output
    for option in ("--context", "--url", "--key", "--token", "--scope", "--local", "--as", "--output", "--json"):
        assert f"{option} " in main
        listed = {word.strip(",") for line in own.splitlines() for word in line.split()[:2]}
        assert option not in listed


@pytest.mark.parametrize(
    "arguments",
    [[], ["frobnicate"], ["approve", "x"], ["list", "--top", "0"], ["list", "--stat", "failed"], ["start", "digits"]],
)
def test_a_command_line_that_cannot_be_read_ends_with_2(arguments: list[str], mlpromote: CommandLine) -> None:
    ended = mlpromote(*arguments)
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors.startswith("Usage: mlpromote")


@contextmanager
def started(app: StubApp, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which ends with the block."""
    environment = {**os.environ, "MLPROMOTE_URL": app.url}
    with subprocess.Popen(
        [sys.executable, "-m", "mlpromote", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_interrupted_command_ends_with_130_and_no_traceback(app: StubApp) -> None:
    watching: list[subprocess.Popen[str]] = []

    def interrupt(_: Request) -> Answer:
        watching[0].send_signal(signal.SIGINT)
        return Answer(detailed())

    app.will_answer(Answer(detailed()), interrupt)
    with started(app, "show", "digits-3-0123456789ab", "--watch") as process:
        watching.append(process)
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in output + errors


def test_a_reader_that_has_seen_enough_is_no_error(app: StubApp) -> None:
    app.will_answer(Answer({"value": [summary(str(number)) for number in range(200)], "next_link": None}))
    with started(app, "list", "--all", "--json") as listing:
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.stderr is not None
        assert listing.stderr.read() == ""
        assert listing.wait(DEADLINE_SECONDS) == 0
