"""What is printed fits the terminal, and is plain where there is none."""

from typing import Any

import pytest
from rich.cells import cell_len

from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, failure, lane, summary
from tests.mlpromote.stub import Answer, StubApp

LONG = "a-very-long-name-of-a-model-with-many-parts"
SENTENCE = "Something went wrong, and there is a lot to be said about it. " * 8


def long_answers() -> list[tuple[list[str], Any]]:
    """Commands, each with an answer in which everything is long."""
    promotion = detailed("failed", id=f"{LONG[:32]}-3-0123456789ab", model=LONG, reason=SENTENCE)
    promotion["waits"][0]["for"] = SENTENCE
    promotion["journal"][0]["text"] = SENTENCE
    short = summary(id=promotion["id"], model=LONG, reason=SENTENCE, stage="west-europe-production")
    failed = failure(id=promotion["id"], reason=SENTENCE, diagnosis=f"{'x' * 300}\n{SENTENCE}")
    held = lane(route="a-long-name-of-a-route", model=LONG)
    held["stages"][1]["hold"]["reason"] = SENTENCE
    check = {"what": "workspace", "name": LONG * 3, "ok": False, "state": "fault", "says": SENTENCE, "todo": SENTENCE}
    result = {"id": promotion["id"], "outcome": "not-reached", "text": SENTENCE}
    return [
        (["list"], {"value": [short], "next_link": None}),
        (["show", "x", "--journal"], promotion),
        (["failures"], {"value": [failed], "next_link": None}),
        (["replay", "x", "--reason", "y"], {"value": [result], "continuation": None}),
        (["routes"], {"value": [held], "next_link": None}),
        (["doctor"], {"healthy": False, "caller": None, "checks": [check]}),
    ]


@pytest.mark.parametrize(("arguments", "answer"), long_answers())
@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_coloured_without_one(
    width: int,
    arguments: list[str],
    answer: Any,
    mlpromote: CommandLine,
    app: StubApp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    app.will_answer(Answer(answer))
    output = mlpromote(*arguments).output
    assert output
    assert max(map(cell_len, output.splitlines())) <= width
    assert "\x1b" not in output


@pytest.mark.parametrize(("width", "named_by"), [(80, "a-very-long-name-of-a-model-with-many-parts/3"), (200, None)])
def test_what_a_promotion_is_called_is_whole_whatever_else_is_long(
    width: int, named_by: str | None, mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id where there is room, else by model and version, which commands take as well."""
    monkeypatch.setenv("COLUMNS", str(width))
    arguments, answer = long_answers()[0]
    app.will_answer(Answer(answer))
    assert (named_by or answer["value"][0]["id"]) in mlpromote(*arguments).output


def test_texts_are_shown_as_they_are_whatever_they_look_like(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"done": "approved by [bold]bob[/bold] :smile:", "promotion": detailed()}))
    assert "approved by [bold]bob[/bold] :smile:" in mlpromote("approve", "x", "--reason", "y").output
