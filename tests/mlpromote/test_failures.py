"""What failed, and its replay."""

import pytest

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import failure, summary
from tests.mlpromote.stub import Answer, StubApp

ID = "digits-3-0123456789ab"
LETTER = "steps-prod:7"


def results(*outcomes: str, continuation: str | None = None) -> Answer:
    value = [{"id": f"item-{outcome}", "outcome": outcome, "text": f"it was {outcome}"} for outcome in outcomes]
    return Answer({"dry_run": False, "value": value, "continuation": continuation})


def test_each_failure_is_reported_with_its_reason_its_log_and_whether_a_replay_is_safe(
    mlpromote: CommandLine, app: StubApp
) -> None:
    letter = failure(
        id=LETTER, stage=None, step=None, diagnosis="", tried=1, replay={"safe": False, "why": "it cannot be read"}
    )
    app.will_answer(Answer({"value": [failure(), letter], "next_link": None}))
    ended = mlpromote("failures", "--queue", "steps-test", "--kind", "bug")
    first, second = ended.output.split("\n\n")
    assert app.asked[0].query == {"queue": "steps-test", "kind": "bug", "top": "50"}
    told = " ".join(first.split())
    assert told.startswith(f"{ID} container-crash test deploy, queue steps-test, ")
    assert "tried 2 times init() raised AttributeError" in told
    assert "AttributeError: no attribute" in first
    assert "replay is safe: it goes on from what failed" in first
    assert "tried once" in " ".join(second.split())
    assert "no replay: it cannot be read" in second


def test_without_failures_it_says_so(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [], "next_link": None}))
    assert mlpromote("failures").output == "nothing failed\n"


def test_a_replay_of_some_names_them_and_reports_each(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [summary("3")], "next_link": None}), results("replayed"))
    ended = mlpromote("replay", "digits/3", LETTER, "--reason", "mended", "--from-step", "validate")
    assert ended.code == 0
    assert "✓ item-replayed replayed it was replayed" in " ".join(ended.output.split())
    assert app.asked[-1].path == "/api/failures/replay"
    body = {"ids": [ID, LETTER], "reason": "mended", "from_step": "validate", "dry_run": False}
    assert app.asked[-1].body == body


def test_a_replay_by_filter_goes_on_until_all_is_done(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(results("replayed", continuation="further"), results("replayed"))
    ended = mlpromote("replay", "--queue", "steps-prod", "--reason", "x", "--json")
    assert len(ended.document) == 2
    assert [request.body.get("continuation") for request in app.asked] == [None, "further"]
    assert {str(request.body["filter"]) for request in app.asked} == {"{'queue': 'steps-prod'}"}


def test_a_replay_of_everything_has_to_be_asked_for(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(results())
    for arguments in ([], [LETTER, "--all"], ["--all", "--model", "digits"], [LETTER, "--model", "digits"]):
        ended = mlpromote("replay", *arguments, "--reason", "x")
        assert ended.code == ExitCode.USAGE
        assert "Give the ids of failures" in ended.errors
    assert app.asked == []
    assert mlpromote("replay", "--all", "--reason", "x").code == 0
    assert app.asked[0].body == {"filter": {}, "reason": "x", "dry_run": False}


def test_a_dry_run_says_that_nothing_was_done(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(results("replayable"))
    ended = mlpromote("replay", LETTER, "--reason", "x", "--dry-run")
    assert ended.code == 0
    assert "nothing was changed" in ended.output
    assert app.asked[0].body["dry_run"] is True


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["replayed", "refused"], ExitCode.REFUSED),
        (["not-found", "refused"], ExitCode.REFUSED),
        (["replayed", "not-reached"], ExitCode.REFUSED),
        (["replayed", "not-found"], ExitCode.NOT_FOUND),
    ],
)
def test_what_could_not_be_replayed_shows_in_the_exit_code(
    outcomes: list[str], code: ExitCode, mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(results(*outcomes))
    ended = mlpromote("replay", LETTER, "--reason", "x")
    assert ended.code == code
    for outcome in outcomes:
        assert f"it was {outcome}" in ended.output


# --- putting aside ----------------------------------------------------------------------------------------------------


def test_dead_letters_are_put_aside_by_id_or_by_filter(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(results("discarded"))
    ended = mlpromote("failures", "discard", LETTER, "--reason", "garbage")
    assert ended.code == 0
    assert "✓ item-discarded discarded it was discarded" in " ".join(ended.output.split())
    assert app.asked[-1].path == "/api/failures/discard"
    assert app.asked[-1].body == {"ids": [LETTER], "reason": "garbage", "dry_run": False}
    mlpromote("failures", "discard", "--queue", "steps-prod", "--reason", "garbage", "--dry-run")
    assert app.asked[-1].body == {"filter": {"queue": "steps-prod"}, "reason": "garbage", "dry_run": True}


def test_an_id_that_is_not_known_ends_with_not_found(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(results("not-found"))
    ended = mlpromote("failures", "discard", "nope", "--reason", "x")
    assert ended.code == ExitCode.NOT_FOUND
    assert "it was not-found" in ended.output


@pytest.mark.parametrize("arguments", [["--reason", "x"], [LETTER, "--queue", "steps-prod", "--reason", "x"], [LETTER]])
def test_what_is_to_be_put_aside_and_why_must_be_said(
    arguments: list[str], mlpromote: CommandLine, app: StubApp
) -> None:
    assert mlpromote("failures", "discard", *arguments).code == ExitCode.USAGE
    assert app.asked == []


def test_what_was_put_aside_is_shown_with_the_beginning_of_its_content(mlpromote: CommandLine, app: StubApp) -> None:
    letter = {
        "id": LETTER,
        "message_id": "poison",
        "enqueued": "2026-11-20T11:00:00+00:00",
        "gave_up": "Each of 10 deliveries ended in an error.",
        "content": "[" * 5000,
        "encoding": "utf-8",
        "size": 5000,
        "by": "alice",
        "reason": "garbage",
        "at": "2026-11-20T11:30:00+00:00",
    }
    app.will_answer(Answer({"value": [letter], "next_link": None}))
    ended = mlpromote("failures", "--discarded")
    assert app.asked[-1].path == "/api/failures/discarded"
    told = " ".join(ended.output.split())
    assert f"{LETTER} discarded" in told
    assert "by alice: garbage" in told
    assert "5000 bytes, utf-8: [[[" in told
    assert 300 < ended.output.count("[") < 500
    assert mlpromote("failures", "--discarded", "--json").document == [letter]
    assert mlpromote("failures", "--discarded", "--queue", "steps-prod").code == ExitCode.USAGE


def test_if_nothing_was_put_aside_it_says_so(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [], "next_link": None}))
    assert mlpromote("failures", "--discarded").output == "no dead letters were discarded\n"
