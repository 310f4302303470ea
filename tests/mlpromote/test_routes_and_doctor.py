"""What serves each stage, and whether all is well."""

from typing import Any

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import lane
from tests.mlpromote.stub import Answer, StubApp


def check(ok: bool, **more: Any) -> dict[str, Any]:
    return {
        "what": "queue",
        "name": "steps-prod",
        "ok": ok,
        "state": "ok" if ok else "fault",
        "says": "seen",
        "todo": "" if ok else "Do this.",
        **more,
    }


def test_routes_show_what_serves_what_is_under_way_and_what_is_held(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [lane()], "next_link": None}))
    ended = mlpromote("routes", "--model", "digits")
    assert app.asked[0].query["model"] == "digits"
    test, prod = [" ".join(line.split()) for line in ended.output.splitlines()[2:4]]
    assert test.startswith("digits digits test 1 ")
    assert prod.startswith("prod – 2, 3 (queued)")
    assert "by alice: strange answers" in " ".join(ended.output.split())
    assert mlpromote("routes", "--json").document == [lane()]


def test_at_80_columns_a_hold_is_readable(mlpromote: CommandLine, app: StubApp) -> None:
    job = "gray_kitten_kgv9m1t6zk"
    test, prod = lane()["stages"]
    served = {**test["champion"], "version": job}
    held = lane(route="rent-training", model="rent-training", stages=[test, {**prod, "champion": served}])
    app.will_answer(Answer({"value": [held], "next_link": None}))
    lines = [line.strip() for line in mlpromote("routes").output.splitlines()]
    assert lines == [
        "rent-training, model rent-training",
        "test: serves 1, since 12 h ago",
        f"prod: serves {job}, since 12 h ago",
        "on its way: 2, 3 (queued)",
        "held by alice: strange answers",
    ]


def test_routes_without_a_hold_have_no_column_for_it(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [lane(stages=lane()["stages"][:1])], "next_link": None}))
    heading = mlpromote("routes").output.splitlines()[0]
    assert heading.split() == ["route", "model", "stage", "serves", "since", "on", "its", "way"]


def test_without_any_lane_routes_say_so(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [], "next_link": None}))
    assert mlpromote("routes").output == "no promotions on any route yet\n"


def test_a_route_without_promotions_is_named(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [], "configured": ["churn-team/scores", "rent"], "next_link": None}))
    assert mlpromote("routes").output == "churn-team/scores: no promotions yet\nrent: no promotions yet\n"
    app.will_answer(Answer({"value": [lane()], "configured": ["digits", "rent"], "next_link": None}))
    *_, last = mlpromote("routes").output.splitlines()
    assert last == "rent: no promotions yet"


def test_a_run_names_the_route_and_the_stage_and_says_what_was_started(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"done": "requested", "promotion": {"id": "churn-training-7"}}, 202))
    ended = mlpromote("run", "churn training", "--stage", "prod", "--reason", "fresh data")
    assert (ended.code, ended.output) == (0, "promotion churn-training-7 started\n")
    assert app.asked[0].path == "/api/routes/churn%20training/stages/prod/run"
    assert app.asked[0].body == {"reason": "fresh data"}


def test_the_doctor_has_a_line_for_each_check_and_who_one_is(mlpromote: CommandLine, app: StubApp) -> None:
    alice = {"name": "alice", "roles": ["Promotion.Operator"]}
    app.will_answer(Answer({"healthy": True, "caller": alice, "checks": [check(True)]}))
    ended = mlpromote("doctor")
    assert ended.code == 0
    lines = [" ".join(line.split()) for line in ended.output.splitlines()[2:]]
    assert lines == [
        f"✓ app {app.url}/api answers",
        "✓ you alice Promotion.Operator",
        "✓ queue steps-prod seen",
        "All is well.",
    ]


def test_what_the_doctor_finds_comes_with_what_to_do_and_an_exit_code(mlpromote: CommandLine, app: StubApp) -> None:
    answer = {"healthy": False, "caller": None, "checks": [check(True), check(False)]}
    app.will_answer(Answer(answer))
    ended = mlpromote("doctor")
    assert ended.code == ExitCode.REFUSED
    assert "✗ queue steps-prod seen. Do this." in " ".join(ended.output.split())
    assert "may read and start, nothing else" in " ".join(ended.output.split())
    assert ended.output.splitlines()[-1] == "1 check failed."
    document = mlpromote("doctor", "--json").document
    assert [one["what"] for one in document["checks"]] == ["app", "you", "queue", "queue"]


def test_the_doctor_tells_of_an_app_that_lets_nobody_in_or_is_not_there(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer("", 401))
    ended = mlpromote("doctor")
    assert (ended.code, ended.errors) == (ExitCode.NOT_ALLOWED, "")
    told = " ".join(ended.output.split())
    assert f"✗ app {app.url}/api Access denied: the function key is wrong" in told
    with StubApp().serving() as gone:
        url = gone.url
    document = mlpromote("doctor", "--url", url, "--json")
    assert (document.code, document.document["healthy"]) == (ExitCode.NO_ANSWER, False)


def test_what_is_no_fault_has_a_mark_and_a_count_of_its_own(mlpromote: CommandLine, app: StubApp) -> None:
    states = {"warning": "Look at them.", "unchecked": ""}
    checks = [check(True, name=state, state=state, todo=todo) for state, todo in states.items()]
    app.will_answer(Answer({"healthy": True, "caller": None, "checks": [check(True), *checks]}))
    ended = mlpromote("doctor")
    assert ended.code == 0
    lines = [" ".join(line.split()) for line in ended.output.splitlines()]
    assert "! queue warning seen. Look at them." in lines
    assert "? queue unchecked seen" in lines
    assert lines[-1] == "1 warning, 1 check incomplete."


def test_a_route_or_stage_that_is_configured_no_longer_is_marked(mlpromote: CommandLine, app: StubApp) -> None:
    test, prod = lane()["stages"]
    lost = lane(configured=True, stages=[{**test, "configured": True}, {**prod, "configured": False}])
    gone = lane(configured=False, route="old", stages=[{**test, "configured": False}])
    app.will_answer(Answer({"value": [lost, gone], "next_link": None}))
    told = " ".join(mlpromote("routes").output.replace("\n", " ").split())
    assert told.count("(not") == 2


def test_the_doctor_says_how_to_sign_in_where_nobody_has(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"healthy": True, "caller": None, "checks": []}))
    assert "--as NAME" in " ".join(mlpromote("doctor").output.split())
