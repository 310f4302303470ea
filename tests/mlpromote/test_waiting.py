"""`wait`, and watching where nobody looks: scripts and pipes."""

import subprocess
from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, summary
from tests.mlpromote.stub import Answer, Request, StubApp, problem
from tests.mlpromote.test_exit_codes import DEADLINE_SECONDS, started

ID = "digits-3-0123456789ab"


def earlier() -> dict[str, Any]:
    """The promotion before prod asks for approval."""
    document = detailed(waits=[])
    document["stages"][1]["approval"]["status"] = "waiting"
    document["stages"][0]["status"] = "running"
    document["stages"][0]["steps"][0]["status"] = "running"
    return document


@pytest.mark.parametrize(
    ("condition", "last"),
    [
        ("approval", detailed()),
        ("succeeded", detailed("succeeded")),
        ("ended", detailed("refused")),
        ("rolled-back", detailed("rolled-back")),
        ("stage=test", detailed()),
        ("step=test/validate", detailed()),
    ],
)
def test_waiting_ends_once_the_condition_is_true(
    condition: str, last: dict[str, Any], mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer(earlier()), Answer(earlier()), Answer(last))
    ended = mlpromote("wait", ID, "--for", condition)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.splitlines()[-1] == f"{ID}: {condition}"
    assert len(app.asked) == 3


def test_a_condition_that_can_no_longer_become_true_ends_with_1(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed("failed", reason="so it goes", waits=[])))
    ended = mlpromote("wait", ID)
    assert ended.code == ExitCode.REFUSED
    assert f"Waited for `succeeded`, but {ID} has failed: so it goes\n" in ended.errors


def test_after_the_timeout_it_is_said_what_is_waited_for(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed()))
    ended = mlpromote("wait", ID, "--timeout", "0s")
    assert ended.code == ExitCode.TIMED_OUT
    assert f"Gave up waiting for `succeeded` of {ID}: prod waits for approval: 1 of 2 given\n" in ended.errors


def test_a_version_that_no_route_takes_is_not_waited_for(mlpromote: CommandLine, app: StubApp) -> None:
    detail = "the model does not fit: digits is taken by no route; did you mean estate/digits?"
    app.will_answer(Answer({"value": []}), problem(400, detail, no_route=True))
    ended = mlpromote("wait", "digits/3", "--timeout", "1h")
    assert ended.code == ExitCode.NOT_FOUND
    assert f"No promotion of digits/3 can begin: {detail}" in " ".join(ended.errors.split())
    assert app.asked[-1].path == "/api/plans/digits/3"


def test_a_plan_that_is_refused_for_another_reason_does_not_end_the_wait(mlpromote: CommandLine, app: StubApp) -> None:
    refused = problem(400, "route: several routes take digits; name one of a, b")
    found = Answer({"value": [summary("3", "succeeded")]})
    app.will_answer(Answer({"value": []}), refused, found, Answer(detailed("succeeded", waits=[])))
    assert mlpromote("wait", "digits/3", "--timeout", "1m").code == 0


def test_with_a_timeout_a_promotion_that_has_not_begun_is_waited_for(mlpromote: CommandLine, app: StubApp) -> None:
    nothing, found = Answer({"value": []}), Answer({"value": [summary("3", "succeeded")]})
    app.will_answer(nothing, nothing, found, Answer(detailed("succeeded", waits=[])))
    ended = mlpromote("wait", "digits/3", "--timeout", "1m")
    assert ended.code == 0
    assert " ".join(ended.errors.split()).count("No promotion of digits/3 has begun yet; waiting for it.") == 1


@pytest.mark.parametrize(("limit", "code"), [(["--timeout", "0s"], ExitCode.TIMED_OUT), ([], ExitCode.NOT_FOUND)])
def test_a_promotion_that_never_begins_is_not_waited_for_without_end(
    limit: list[str], code: ExitCode, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer({"value": []}))
    assert mlpromote("wait", "digits/3", *limit).code == code


@pytest.mark.parametrize("arguments", [["--for", "godot"], ["--for", "stage="], ["--timeout", "10"]])
def test_what_cannot_be_waited_for_is_a_usage_error(arguments: list[str], mlpromote: CommandLine) -> None:
    ended = mlpromote("wait", ID, *arguments)
    assert ended.code == ExitCode.USAGE
    assert "known are ended, approval" in ended.errors or "write 90s" in ended.errors


def test_watching_says_what_is_waited_for_once(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(earlier()), Answer(detailed()), Answer(detailed()), Answer(detailed("succeeded", waits=[])))
    output = " ".join(mlpromote("show", ID, "--watch").output.split())
    assert output.count("… prod waits for approval: 1 of 2 given, until 2026-11-20 12:16 UTC") == 1


def test_a_poll_that_changes_nothing_is_no_line_of_a_pipe(mlpromote: CommandLine, app: StubApp) -> None:
    polls = (
        Answer(
            detailed(waits=[{**detailed()["waits"][0], "for": f"deploy: Creating; next poll at 12:00:{second} UTC"}])
        )
        for second in (10, 11)
    )
    app.will_answer(*polls, Answer(detailed("succeeded", waits=[])))
    output = mlpromote("show", ID, "--watch").output
    assert output.count("waits for deploy: Creating, until") == 1
    assert "next poll" not in output


def test_watching_ends_when_the_reader_of_its_pipe_has_gone(app: StubApp) -> None:
    """Nothing more is printed, so only looking at the pipe shows that nobody reads."""
    readers: list[subprocess.Popen[str]] = []

    def leave(_: Request) -> Answer:
        if readers and readers[0].stdout and not readers[0].stdout.closed:
            readers[0].stdout.close()
        return Answer(detailed())

    app.will_answer(Answer(detailed()), Answer(detailed()), leave)
    with started(app, "show", ID, "--watch") as process:
        readers.append(process)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("stage=staging", f"{ID} has no stage staging. Its stages: test, prod."),
        ("step=staging/deploy", f"{ID} has no stage staging. Its stages: test, prod."),
        ("step=test/deploi", f"{ID} has no step deploi in test. Its steps: validate."),
    ],
)
def test_nobody_waits_for_a_stage_or_step_that_is_not_there(
    condition: str, says: str, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer(detailed()))
    ended = mlpromote("wait", ID, "--for", condition, "--timeout", "0s")
    assert (ended.code, ended.errors) == (ExitCode.NOT_FOUND, f"mlpromote: {says}\n")
