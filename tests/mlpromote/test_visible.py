"""What others wrote cannot control a terminal, whatever part of an answer it is in."""

import json
import re

import pytest

from mlpromote.visible import visible
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import failure, summary
from tests.mlpromote.stub import Answer, StubApp, problem

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[1;31m\x9b31m\x08\x7f\r\u202e\u2066"
#: Colours are our own; with none asked for, an escape can only come from an answer.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset", "reset"),
        ("a\x00b\x9bc", "a\\x00b\\x9bc"),
        ("over\rwritten", "over\\x0dwritten"),
        ("two\r\nlines\n\ttab", "two\nlines\n\ttab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("Müller, 東京, 👩‍🔬", "Müller, 東京, 👩‍🔬"),
    ],
)
def test_what_cannot_be_seen_is_left_out_or_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_lists_show_none(options: list[str], mlpromote: CommandLine, app: StubApp) -> None:
    bad = failure(reason=f"bad{ESCAPES}", diagnosis=f"log{ESCAPES}\nline", kind=f"bug{ESCAPES}", model=ESCAPES)
    app.will_answer(Answer({"value": [bad], "next_link": None}))
    shown = mlpromote("failures", *options).output
    assert "bad" in shown
    assert not CONTROL.search(shown.replace("\n", ""))
    row = summary("3") | {"version": f"3{ESCAPES}", "reason": f"no{ESCAPES}"}
    app.will_answer(Answer({"value": [row], "next_link": None}))
    shown = mlpromote("list", *options).output
    assert not CONTROL.search(shown.replace("\n", ""))


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_errors_show_none(options: list[str], mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(problem(409, f"not now{ESCAPES}", see=ESCAPES))
    ended = mlpromote("failures", *options)
    assert "not now" in ended.errors
    assert not CONTROL.search(ended.errors.replace("\n", ""))


def test_an_answer_that_is_nested_too_deeply_is_refused(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer("[" * 100_000))
    ended = mlpromote("failures")
    assert "did not return JSON" in " ".join(ended.errors.split())


def test_json_stays_json(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [failure(reason=f"bad{ESCAPES}")], "next_link": None}))
    [shown] = json.loads(mlpromote("failures", "--json").output)
    assert shown["reason"].startswith("bad")
