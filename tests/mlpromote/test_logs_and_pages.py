"""What happened to a promotion line by line, and its pages in Azure ML studio."""

from typing import Any

import pytest
import yaml

from mlpromote.exit_codes import ExitCode
from tests.examples.promotion_document import after
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, summary
from tests.mlpromote.stub import Answer, StubApp

ID = "digits-3-0123456789ab"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/prod"


def failed() -> dict[str, Any]:
    document = detailed("failed")
    failure = {"kind": "bug", "reason": "it broke", "diagnosis": "first line\nlast line\n"}
    document["stages"][0]["steps"][0]["failure"] = failure
    document["journal"].append({"at": after(4), "stage": "test", "step": "validate", "what": "failed", "text": "broke"})
    return document


def test_logs_are_the_journal_and_the_logs_of_failed_steps(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(failed()))
    assert mlpromote("logs", ID).output.splitlines() == [
        "2026-11-20T12:00:03Z prod/approve approved bob: fine (1 of 2)",
        "2026-11-20T12:00:04Z test/validate failed broke",
        "--- log of test/validate",
        "first line",
        "last line",
    ]


@pytest.mark.parametrize(("step", "lines"), [("test/validate", 4), ("validate", 4), ("prod/approve", 1)])
def test_logs_of_one_step_leave_out_the_others(step: str, lines: int, mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(failed()))
    assert len(mlpromote("logs", ID, "--step", step).output.splitlines()) == lines


def test_the_steps_that_there_are_are_named(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(failed()))
    ended = mlpromote("logs", ID, "--step", "prod/nothing")
    assert ended.code == ExitCode.NOT_FOUND
    assert "Its steps: test/validate, prod/approve." in " ".join(ended.errors.split())


def test_without_a_terminal_pages_are_printed_and_none_is_opened(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    document = detailed()
    document["candidate"] = {
        "kind": "model",
        "name": "digits",
        "version": "3",
        "environment": "dev",
        "workspace": WORKSPACE.replace("/prod", "/dev"),
    }
    document["stages"][1] |= {"workspace": WORKSPACE, "endpoint": "digits"}
    app.will_answer(Answer(document))
    pages = {page["what"]: page["url"] for page in mlpromote("open", ID, "--json").document}
    home = WORKSPACE.replace("/prod", "/dev")
    assert pages["model"] == f"https://ml.azure.com/model/digits:3/details?wsid={home}"
    assert pages["endpoint prod"] == f"https://ml.azure.com/endpoints/realtime/digits/detail?wsid={WORKSPACE}"
    assert pages["portal prod"] == f"https://portal.azure.com/#@/resource{WORKSPACE}"
    assert "endpoint test" not in pages  # an older app does not say where a stage is
    assert mlpromote("open", ID).code == 0
    assert opened == []


def test_in_a_pipe_nothing_is_cut_or_wrapped_or_filled(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    reason = "a long story, " * 40
    app.will_answer(Answer({"value": [summary(reason=reason)], "next_link": None}))
    heading, _, line = mlpromote("list").output.splitlines()
    assert heading.split() == ["promotion", "version", "status", "stage", "age", "why"]
    assert line.endswith(reason.strip())
    assert heading == heading.rstrip()


def test_wide_cuts_nothing_in_a_terminal_either(mlpromote: CommandLine, app: StubApp) -> None:
    reason = "a long story, " * 40
    app.will_answer(Answer({"value": [summary(reason=reason)], "next_link": None}))
    assert reason.strip() not in mlpromote("list").output
    assert mlpromote("list", "-o", "wide").output.splitlines()[2].endswith(reason.strip())


def test_for_scripts_results_and_errors_are_yaml_as_well(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [summary()], "next_link": None}))
    assert yaml.safe_load(mlpromote("list", "-o", "yaml").output) == [summary()]
    app.will_answer(Answer({"detail": "No.", "status": 404}, 404, "application/problem+json"))
    assert yaml.safe_load(mlpromote("show", "x", "-oyaml").errors)["detail"] == "No."
    assert yaml.safe_load(mlpromote("--output=yaml", "shw").errors)["exitCode"] == 2


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_off_where_they_should_be(
    variables: dict[str, str],
    coloured: bool,
    mlpromote: CommandLine,
    app: StubApp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    app.will_answer(Answer({"value": [summary()], "next_link": None}))
    assert ("\x1b[3" in mlpromote("list").output) is coloured
