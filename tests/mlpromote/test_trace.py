"""The trace of a promotion in a terminal."""

from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from tests.examples.promotion_document import after, promotion, stage, step
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, StubApp, problem

TRACE = "0123456789abcdef0123456789abcdef"


def document(status: str = "succeeded") -> dict[str, Any]:
    """A promotion whose deployment took most of its time."""
    stages = [
        stage("test", status, [step("share", "succeeded", 0, 2, looks=1), step("deploy", status, 2, 20, looks=4)])
    ]
    return promotion(status, stages, version="3", id="digits-3-0123456789ab") | {
        "created": after(0),
        "updated": after(20),
    }


def span(name: str, start: float, end: float, failed: bool = False, **about: str | int) -> dict[str, Any]:
    return {
        "id": "1" * 16,
        "parent": None,
        "name": name,
        "started": after(start),
        "ended": after(end),
        "failed": failed,
        "attributes": {"promotion": "digits-3-0123456789ab", **about},
    }


SPANS = [
    span("run deploy", 2, 2.5, stage="test", step="deploy", outcome="Running"),
    span("intake", -0.02, 0),
    span("test deploy", 2, 20, stage="test", step="deploy", status="succeeded"),
    span("advance: StepReported", 19.99, 20, stage="test", step="deploy"),
]


def show(mlpromote: CommandLine, app: StubApp, spans: list[dict[str, Any]] | None) -> list[str]:
    app.will_answer(Answer(document()), Answer({"trace": TRACE, "spans": spans}))
    ended = mlpromote("show", "digits-3-0123456789ab", "--trace")
    assert ended.code == ExitCode.DONE, ended.errors
    return ended.output.splitlines()


def test_steps_and_what_functions_did_for_them_stand_in_the_order_of_time(mlpromote: CommandLine, app: StubApp) -> None:
    lines = show(mlpromote, app, SPANS)
    assert [request.path for request in app.asked][-1] == "/api/promotions/digits-3-0123456789ab/trace"
    names = [line.split("━")[0].rstrip() for line in lines[:-1]]
    assert names[:4] == ["digits/3", "  intake", "  test share", "  test deploy"]
    assert names[4:] == ["    run deploy", "    advance: StepReported"]
    assert lines[-1] == f"trace {TRACE}"


def test_bars_show_when_each_was(mlpromote: CommandLine, app: StubApp) -> None:
    lines = show(mlpromote, app, SPANS)
    whole, _, share, deploy, *_ = lines
    assert whole.count("━") == 24
    assert share.index("━") == whole.index("━")
    assert deploy.rindex("━") == whole.rindex("━")
    assert deploy.count("━") > 15 > share.count("━")
    assert "18.0 s" in deploy
    assert "500 ms" in lines[4]


def test_without_spans_the_steps_are_shown_and_where_the_spans_are(mlpromote: CommandLine, app: StubApp) -> None:
    lines = show(mlpromote, app, None)
    assert [line.split()[:2] for line in lines[:3]] == [["digits/3", "━" * 24], ["test", "share"], ["test", "deploy"]]
    assert f"operation_Id == '{TRACE}'" in " ".join(" ".join(lines).split())


def test_scripts_get_the_trace_as_the_app_tells_it(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(document()), Answer({"trace": TRACE, "spans": SPANS}))
    assert mlpromote("show", "digits-3-0123456789ab", "--trace", "--json").document == {"trace": TRACE, "spans": SPANS}


@pytest.mark.parametrize("status", [404, 401])
def test_a_refusal_ends_the_command(mlpromote: CommandLine, app: StubApp, status: int) -> None:
    app.will_answer(Answer(document()), problem(status, "no"))
    assert mlpromote("show", "digits-3-0123456789ab", "--trace").code != ExitCode.DONE
