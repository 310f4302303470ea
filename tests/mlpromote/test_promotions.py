"""Starting, listing, showing and steering promotions."""

import threading

import pytest

from mlpromote.access import Access
from mlpromote.api import Api
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.following import follow
from mlpromote.output import Format, Output
from tests.examples.promotion_document import after
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, lane, summary
from tests.mlpromote.stub import Answer, Request, StubApp, problem

ID = "digits-3-0123456789ab"


def page(*versions: str, following: str | None = None) -> Answer:
    link = f"https://gateway.test/api/promotions?top=1&continuation={following}" if following else None
    return Answer({"value": [summary(version) for version in versions], "next_link": link})


# --- list and show ----------------------------------------------------------------------------------------------------


def test_a_list_has_a_line_for_each_promotion(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(page("4", "3"))
    lines = mlpromote("list").output.splitlines()
    assert [line.split()[:4] for line in lines[2:]] == [
        ["digits-4-0123456789ab", "digits/4", "✗", "failed"],
        ["digits-3-0123456789ab", "digits/3", "✗", "failed"],
    ]


def test_a_list_goes_on_page_by_page_until_it_has_what_was_asked_for(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(page("5", "4", following="x%26y"), page("3", "2", following="z"))
    ended = mlpromote("list", "--top", "3", "--json", "--status", "failed", "--environment", "prod")
    assert [one["version"] for one in ended.document] == ["5", "4", "3"]
    assert [dict(request.query) for request in app.asked] == [
        {"environment": "prod", "status": "failed", "top": "3"},
        {"environment": "prod", "status": "failed", "top": "1", "continuation": "x&y"},
    ]


def test_all_of_a_list_is_read_to_its_end(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(page("5", following="a"), page(following="b"), page("4"))
    assert [one["version"] for one in mlpromote("list", "--all", "--json").document] == ["5", "4"]


def test_an_empty_list_says_so_and_is_an_empty_list_for_scripts(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(page())
    assert mlpromote("list").output == "no promotions\n"
    assert mlpromote("list", "--json").document == []


def test_settings_that_have_changed_since_are_named_by_show_and_by_retry(mlpromote: CommandLine, app: StubApp) -> None:
    document = detailed("failed", changed_settings=["prod.smoke.max_latency", "prod.validate.auc.at_least"])
    app.will_answer(Answer(document))
    says = (
        "The route's settings have changed: prod.smoke.max_latency, prod.validate.auc.at_least. This promotion keeps "
        "those that it started with; start it again to use the new ones."
    )
    assert says in " ".join(mlpromote("show", ID).output.split())
    app.will_answer(Answer({"done": "retried by alice: x", "promotion": {**document, "status": "queued"}}, 202))
    retried = " ".join(mlpromote("retry", ID, "--reason", "x").output.split())
    assert says.replace("start it again", "cancel it and start it again") in retried
    assert "have changed" not in mlpromote("cancel", ID, "--reason", "x").output
    app.will_answer(Answer(detailed("failed", changed_settings=[])))
    assert "have changed" not in mlpromote("show", ID).output


def test_of_many_settings_that_have_changed_some_are_named(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed("failed", changed_settings=[f"prod.x{number}" for number in range(8)])))
    assert "prod.x3, prod.x4 and 3 more." in " ".join(mlpromote("show", ID).output.split())


def test_a_promotion_is_shown_with_what_it_waits_for_and_who_approved_what(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer(detailed()))
    text = " ".join(mlpromote("show", ID, "--journal").output.split())
    assert app.asked[0].path == f"/api/promotions/{ID}"
    for part in (
        "digits/3 on route digits: running",
        "requested by alice",
        "✓ validate gate passed: accuracy 0.9648",
        "prod approved by bob: fine",
        "prod needs 1 more approval of 2, for evidence 0123456789abcdef",
        "prod waits for approval: 1 of 2 given",
        "until 2026-11-20 12:16:40 UTC",
        "2026-11-20 12:00:03 prod approve approved bob: fine (1 of 2)",
    ):
        assert part in text
    assert "(1 of 2)" not in mlpromote("show", ID).output


def test_an_approval_of_an_earlier_attempt_is_not_shown_as_if_it_counted(mlpromote: CommandLine, app: StubApp) -> None:
    document = detailed(waits=[])
    document["stages"][1]["approval"]["status"] = "waiting"
    app.will_answer(Answer(document))
    text = " ".join(mlpromote("show", ID).output.split())
    assert "prod approved by bob in an earlier attempt, which counts only for the same evidence: fine" in text
    assert "prod approved by bob: " not in text


def test_what_was_cancelled_while_it_waited_needs_no_approval_any_more(mlpromote: CommandLine, app: StubApp) -> None:
    document = detailed("cancelled", waits=[])
    document["stages"][1]["status"] = "cancelled"
    app.will_answer(Answer(document))
    text = mlpromote("show", ID).output
    assert "prod approved by bob: fine" in text
    assert "needs" not in text


def test_a_promotion_is_shown_with_the_end_of_a_failed_step_s_log(mlpromote: CommandLine, app: StubApp) -> None:
    document = detailed("failed")
    log = "\n".join(f"line {number}" for number in range(100))
    document["stages"][1]["steps"][0]["failure"] = {"kind": "bug", "reason": "it broke", "diagnosis": log}
    app.will_answer(Answer(document))
    text = mlpromote("show", ID).output
    assert "line 99" in text
    assert "line 50" not in text


def test_for_scripts_a_promotion_is_what_the_app_answered(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed()))
    assert mlpromote("show", ID, "--json").document == detailed()


def of_lanes(*champions: str) -> Answer:
    """The routes, whose stages these promotions serve."""
    served = [{"promotion": each, "version": "3", "since": after(0)} for each in champions]
    stages = [
        {**lane()["stages"][0], "name": f"stage-{each}", "champion": champion} for each, champion in enumerate(served)
    ]
    return Answer({"value": [lane(stages=stages)], "next_link": None})


def test_a_version_stands_for_its_promotion_and_not_for_a_job_of_that_name(
    mlpromote: CommandLine, app: StubApp
) -> None:
    others = {"value": [summary("3", id="job", kind="job"), summary("4", id="four")], "next_link": "/?continuation=a"}
    wanted = {"value": [summary("3", id="of-the-model")], "next_link": None}
    app.will_answer(Answer(others), Answer(wanted), Answer(detailed()))
    ended = mlpromote("show", "digits/3")
    assert (ended.code, ended.errors) == (0, "")
    assert app.asked[0].query["model"] == "digits"
    assert app.asked[-1].path == "/api/promotions/of-the-model"


@pytest.mark.parametrize(
    ("statuses", "serving", "command", "meant", "why"),
    [
        (["refused", "succeeded"], ["p1"], "show", "p1", "the one that serves stage-0"),
        (["refused", "succeeded"], [], "show", "p0", "the newest"),
        (["refused", "running", "succeeded"], ["p2"], "show", "p1", "under way"),
        (["failed", "succeeded"], ["p1"], "roll-back", "p1", "the one that serves stage-0"),
        (["failed", "succeeded"], ["p1"], "retry", "p0", "the newest"),
    ],
)
def test_of_several_promotions_of_a_version_the_one_that_matters_is_meant_and_named(
    statuses: list[str],
    serving: list[str],
    command: str,
    meant: str,
    why: str,
    mlpromote: CommandLine,
    app: StubApp,
) -> None:
    found = [summary("3", status, id=f"p{number}") for number, status in enumerate(statuses)]

    def answer(request: Request) -> Answer:
        if request.path == "/api/routes":
            return of_lanes(*serving)
        if request.path == "/api/promotions":
            return Answer({"value": found, "next_link": None})
        return Answer({**detailed(), "done": "done", "promotion": detailed()})

    app.will_answer(answer)
    more = [] if command == "show" else ["--reason", "why"]
    ended = mlpromote(command, "digits/3", *more)
    assert ended.code == 0
    assert f"/api/promotions/{meant}" in app.asked[-1].path
    said = " ".join(ended.errors.split())
    assert said == f"digits/3 has {len(found)} promotions. This is about {meant}, {why}; name another by its id."


@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_the_title_of_a_pipeline_or_a_job_stands_for_its_promotion(
    kind: str, mlpromote: CommandLine, app: StubApp
) -> None:
    found = [summary("a_job", id="the-one", kind=kind, model="rent-training")]
    app.will_answer(Answer({"value": found, "next_link": None}), Answer(detailed()))
    assert mlpromote("show", "rent-training/a_job").code == 0
    assert app.asked[0].query["model"] == "rent-training"
    assert app.asked[-1].path == "/api/promotions/the-one"


def test_a_version_that_was_never_promoted_is_not_found(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(page("4"))
    ended = mlpromote("show", "digits/3")
    assert ended.code == ExitCode.NOT_FOUND
    assert "no promotion of digits version 3" in ended.errors


def test_whatever_is_given_as_an_id_stays_one_part_of_the_address(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(problem(404, "There is no such promotion."))
    assert mlpromote("show", "..?x#y").code == ExitCode.NOT_FOUND
    assert app.asked[0].path == "/api/promotions/..%3Fx%23y"


# --- start and steer --------------------------------------------------------------------------------------------------


def test_a_start_sends_what_was_said_and_nothing_else(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed("queued"), 202))
    ended = mlpromote("start", "digits", "3", "--reason", "try", "--through", "test", "--idempotency-key", "k")
    assert (ended.code, ended.output) == (0, f"promotion {ID} started\n")
    [request] = app.asked
    assert (request.method, request.path) == ("POST", "/api/promotions")
    assert request.body == {"model": "digits", "version": "3", "reason": "try", "through": "test"}
    assert request.headers["Idempotency-Key"] == "k"


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["approve", "--stage", "prod", "--evidence", "0123"], {"stage": "prod", "evidence": "0123"}),
        (["reject"], {}),
        (["cancel"], {}),
        (["roll-back", "--stage", "prod"], {"stage": "prod"}),
        (["retry", "--from-step", "validate"], {"from_step": "validate"}),
    ],
)
def test_steering_sends_the_reason_and_says_what_was_done(
    arguments: list[str], body: dict[str, str], mlpromote: CommandLine, app: StubApp
) -> None:
    answer = {"done": "something was done", "promotion": detailed()}
    app.will_answer(Answer(answer, 202))
    ended = mlpromote(*arguments, ID, "--reason", "why not")
    assert (ended.code, ended.output) == (0, f"something was done\npromotion {ID} is running\n")
    [request] = app.asked
    assert (request.method, request.path) == ("POST", f"/api/promotions/{ID}/{arguments[0]}")
    assert request.body == {"reason": "why not", **body}
    assert mlpromote(*arguments, ID, "--reason", "why not", "--json").document == answer


# --- follow -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ("succeeded", ExitCode.DONE, f"{ID} has succeeded"),
        ("failed", ExitCode.REFUSED, f"{ID} has failed: so it goes"),
        ("rolled-back", ExitCode.REFUSED, f"{ID} has been rolled back: so it goes"),
    ],
)
def test_a_watched_promotion_ends_the_command_by_its_outcome(
    status: str, code: ExitCode, says: str, mlpromote: CommandLine, app: StubApp
) -> None:
    reason = "" if status == "succeeded" else "so it goes"
    app.will_answer(Answer(detailed()), Answer(detailed(status, reason=reason)))
    ended = mlpromote("show", ID, "--watch")
    assert ended.code == code
    assert ended.output.splitlines()[-1] == says
    assert any(line.split()[:3] == ["✓", "test", "validate"] for line in ended.output.splitlines())


def test_scripts_that_watch_get_the_promotion_as_it_ended(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed("queued"), 202), Answer(detailed()), Answer(detailed("succeeded")))
    ended = mlpromote("start", "digits", "3", "--reason", "x", "--watch", "--json")
    assert (ended.code, ended.document["status"]) == (0, "succeeded")


def test_an_app_that_is_away_for_a_while_is_waited_for(app: StubApp) -> None:
    app.will_answer(Answer("", 503), Answer("", 502), Answer(detailed("succeeded")))
    ended = follow(Api(Access(f"{app.url}/api")), detailed(), Output(Format.JSON), poll=0.01)
    assert ended["status"] == "succeeded"


def test_an_app_that_stays_away_ends_the_watching(app: StubApp) -> None:
    app.will_answer(Answer("", 503))
    with pytest.raises(CommandError) as error:
        follow(Api(Access(f"{app.url}/api")), detailed(), Output(Format.JSON), poll=0.01, patience=0.1)
    assert error.value.exit_code is ExitCode.NO_ANSWER


def test_a_refusal_while_watching_is_final(app: StubApp) -> None:
    app.will_answer(problem(403, "no longer"))
    with pytest.raises(CommandError, match="no longer"):
        follow(Api(Access(f"{app.url}/api")), detailed(), Output(Format.JSON), poll=0.01)


def test_an_answer_that_does_not_come_in_time_is_none(app: StubApp) -> None:
    held = StubApp()

    def late(_: Request) -> Answer:
        asked.set()
        release.wait(300)
        return Answer({})

    asked, release = threading.Event(), threading.Event()
    held.will_answer(late)
    with held.serving():
        try:
            with pytest.raises(CommandError, match="no answer in time"):
                Api(Access(f"{held.url}/api"), longest_answer=0.2).get("routes")
            assert asked.is_set()
        finally:
            release.set()


def test_at_80_columns_a_list_names_every_promotion_with_its_status_and_reason(
    mlpromote: CommandLine, app: StubApp
) -> None:
    job = "gray_kitten_kgv9m1t6zk"
    pipeline = summary(
        job,
        "rolled-back",
        kind="pipeline",
        model="rent-training",
        id=f"rent-training-{job}-ccb7143fabe3",
        reason="prod: asked by alice\nfor strange answers",
    )
    older = summary("3", id="digits-3-older", reason="")
    app.will_answer(Answer({"value": [summary(reason="test: init() raised"), pipeline, older], "next_link": None}))
    lines = mlpromote("list").output.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "digits/3 ✗ failed 12 h",
        "test: init() raised",
        f"rent-training/{job} ↩ rolled back 12 h",
        "prod: asked by alice for strange answers",
        "digits/3 ✗ failed 12 h",
        "digits-3-older",
    ]
    assert all(len(line) <= 80 for line in lines)
    assert len({line.index("12 h") for line in lines if "12 h" in line}) == 1


@pytest.mark.parametrize("width", [80, 60, 40])
def test_no_line_of_a_list_is_broken_before_its_age(
    width: int, mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    job = "gray_kitten_kgv9m1t6zk"
    created = after(12 * 3600 - 600)
    long = summary(job, "rolled-back", model="churn-team/training", stage="production-west", created=created, reason="")
    short = summary("3", stage="prod", created=created, reason="")
    app.will_answer(Answer({"value": [long, short], "next_link": None}))
    lines = [line.rstrip() for line in mlpromote("list").output.splitlines()]
    assert sum(line.endswith("  10 min") for line in lines) == 2, lines
    assert all(len(line) <= width for line in lines)


def test_a_list_in_a_wide_terminal_is_a_table_with_ids(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    pipeline = summary("a_job", kind="pipeline", model="rent-training", id="i" * 53, reason="why")
    app.will_answer(Answer({"value": [pipeline], "next_link": None}))
    heading, _, line = mlpromote("list").output.splitlines()
    assert heading.split() == ["promotion", "version", "status", "stage", "age", "why"]
    assert line.split() == ["i" * 53, "rent-training/a_job", "✗", "failed", "12", "h", "why"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", ""),
        ("wait", ""),
        ("logs", ""),
        ("open", ""),
        ("cancel", "", "--reason", "x"),
        ("sources", ""),
        ("run", "", "--stage", "prod", "--reason", "x"),
        ("plan", "digits", ""),
    ],
)
def test_an_empty_name_is_a_usage_error_and_asks_for_nothing(
    arguments: tuple[str, ...], mlpromote: CommandLine, app: StubApp
) -> None:
    ended = mlpromote(*arguments)
    assert (ended.code, app.asked) == (2, [])
    assert "An empty text names nothing." in ended.errors
