"""`GET /failures` and `POST /failures/replay`: what failed, whether a replay is safe, and what it does."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.messages import (
    Failed,
    FailureKind,
    FindRegistrations,
    JobEnded,
    LaneKey,
    ModelRegistered,
    RunStep,
    encode,
)
from shared.queues import EVENTS_QUEUE
from tests.config.right import SETTINGS
from tests.core.world import answer
from tests.fakes.queues import Crash, FakeQueues
from tests.functions.conftest import ALICE, BOB, Api, Reply

CRASHED = Failed("init() raised KeyError", FailureKind.CONTAINER_CRASH, "Traceback (most recent call last): …")
BROKEN = {("test", "deploy"): CRASHED}
DEV_WORKSPACE = SETTINGS["DEV"]


@pytest.fixture
def queues(api: Api) -> FakeQueues:
    """Their dead letters are the app's; what the app sends of its own stays in `api.bus`."""
    queues = FakeQueues()
    api.app.dead_letters = queues
    return queues


def failed(api: Api, version: str) -> str:
    """A promotion that failed in test, and whose deployment was removed."""
    promotion = api.start(version)
    api.run(BROKEN)
    return promotion


def failures(api: Api, query: str = "") -> list[dict[str, Any]]:
    page = api.get(f"failures{query}")
    assert page.status == 200, page.body
    return list(page.body["value"])


def replay(api: Api, by: Mapping[str, str] = ALICE, **body: object) -> Reply:
    return ask(api, body, by)


def ask(api: Api, body: Mapping[str, object], by: Mapping[str, str] = ALICE) -> Reply:
    return api.post("failures/replay", {"reason": "mended", **body}, by)


def outcomes(reply: Reply) -> dict[str, str]:
    """By id."""
    assert reply.status == 200, reply.body
    return {item["id"]: item["outcome"] for item in reply.body["value"]}


def registered(name: str = "churn-eu", version: str = "9") -> ModelRegistered:
    return ModelRegistered(DEV_WORKSPACE, name, version, {"promote": "true"}, "event-grid")


# --- what failed ------------------------------------------------------------------------------------------------------


def test_a_failed_promotion_is_shown_with_what_is_needed_to_mend_it(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    [failure] = failures(api)
    assert failure["id"] == failure["promotion"] == promotion
    assert (failure["what"], failure["class"], failure["tried"]) == ("promotion", "container-crash", 1)
    assert (failure["stage"], failure["step"], failure["environment"]) == ("test", "deploy", "test")
    assert (failure["route"], failure["model"], failure["queue"]) == ("churn", "churn-eu", "steps-test")
    assert "init() raised KeyError" in failure["reason"]
    assert failure["diagnosis"] == CRASHED.diagnosis
    assert failure["replay"]["safe"]


def test_what_was_refused_is_no_failure(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    api.run({("test", "validate"): Failed("auc is too low", FailureKind.REFUSED)})
    assert failures(api) == []


def test_where_undoing_failed_too_the_first_cause_is_shown(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    api.run(BROKEN | {("test", "remove"): Failed("locked", FailureKind.PERMISSION)})
    [failure] = failures(api)
    assert (failure["step"], failure["class"]) == ("deploy", "container-crash")


def test_a_gate_that_refused_and_could_not_be_undone_shows_what_could_not(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    refused = Failed("too slow", FailureKind.REFUSED)
    api.run({("test", "smoke"): refused, ("test", "remove"): Failed("locked", FailureKind.PERMISSION)})
    [failure] = failures(api)
    assert (failure["step"], failure["class"]) == ("remove", "permission")


def test_a_superseded_promotion_is_not_safe_to_replay(api: Api, queues: FakeQueues) -> None:
    older = failed(api, "1")
    api.start("2", through="test")
    api.run()
    [failure] = failures(api)
    assert (failure["id"], failure["replay"]["safe"]) == (older, False)
    assert failure["replay"]["why"] == "it is superseded: version 2 is newer and already serves test"


def test_a_dead_letter_says_how_often_it_was_tried_and_what_it_is_about(api: Api, queues: FakeQueues) -> None:
    promotion = api.start("1")
    [command] = api.steps
    dead = queues.bury("steps-dev", command)
    [failure] = failures(api)
    assert (failure["id"], failure["what"], failure["class"]) == (dead, "dead-letter", "bug")
    assert (failure["queue"], failure["environment"]) == ("steps-dev", "dev")
    assert (failure["promotion"], failure["stage"], failure["step"]) == (promotion, "test", "share")
    assert (failure["tried"], failure["at"]) == (10, "2026-11-20T11:00:00+00:00")
    assert failure["reason"].startswith("Each of 10 deliveries ended in an error")
    assert command.message_id in failure["reason"]


def test_an_expired_dead_letter_is_a_timeout_and_one_put_aside_by_hand_says_why(api: Api, queues: FakeQueues) -> None:
    queues.bury(EVENTS_QUEUE, registered(), reason="TTLExpiredException")
    queues.bury(EVENTS_QUEUE, registered(), reason="looked odd", description="by bob")
    expired, by_hand = failures(api)
    assert (expired["class"], by_hand["class"]) == ("timeout", "bug")
    assert by_hand["reason"].endswith("was put aside: looked odd: by bob.")


# --- whether a replay of a dead letter is safe ------------------------------------------------------------------------


def judged(api: Api, queues: FakeQueues, queue: str, message: Any) -> tuple[bool, str]:
    """Whether a replay of such a dead letter would be safe, and why."""
    queues.bury(queue, message)
    replay = failures(api, f"?queue={queue}")[-1]["replay"]
    return replay["safe"], replay["why"]


def test_a_command_that_the_promotion_waits_for_is_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    safe, why = judged(api, queues, "steps-dev", api.steps[0])
    assert (safe, why.partition(",")[0]) == (True, "the promotion waits for it")


def test_a_command_that_the_promotion_has_moved_on_from_is_harmless(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    [command] = api.steps
    api.run()
    safe, why = judged(api, queues, "steps-dev", command)
    assert (safe, why.partition(":")[0]) == (True, "the promotion has moved on")


@pytest.mark.parametrize("step", ["shift", "retire", "remove", "restore"])
def test_a_late_command_to_move_traffic_or_to_take_away_is_superseded(step: str, api: Api, queues: FakeQueues) -> None:
    """Its promotion may have been tried again since, and serve: it would lose its traffic or its deployment."""
    api.start("1")
    [command] = api.steps
    api.run()
    late = replace(command, step=step, environment="test")
    safe, why = judged(api, queues, "steps-test", late)
    assert (safe, why.partition(":")[0]) == (False, "it is superseded")
    [dead] = queues.buried["steps-test"].values()
    assert outcomes(replay(api, ids=[f"steps-test:{dead.number}"])) == {f"steps-test:{dead.number}": "refused"}
    assert queues.queues == {}


def test_a_command_to_move_traffic_that_the_promotion_waits_for_is_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1", through="test")
    while api.steps[0].step != "shift":
        command = api.steps[0]
        api.bus.commands.clear()
        api.app.lanes.apply(answer(command))
    assert judged(api, queues, "steps-test", api.steps[0])[0] is True


def test_a_command_of_a_promotion_that_is_not_there_is_not_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    assert judged(api, queues, "steps-dev", replace(api.steps[0], promotion="nobody"))[0] is False


def test_a_command_whose_step_was_given_up_does_nothing(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    [command] = api.steps
    late = replace(command, deadline=datetime.now(UTC) - timedelta(hours=1))
    safe, why = judged(api, queues, "steps-dev", late)
    assert (safe, why.partition(" at ")[0]) == (True, "the step was given up")


def test_what_lies_in_the_wrong_queue_is_not_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    [command] = api.steps
    assert judged(api, queues, "steps-prod", command)[0] is False
    assert judged(api, queues, EVENTS_QUEUE, command)[0] is False
    assert judged(api, queues, "steps-dev", registered())[0] is False


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "it cannot be read: the message is no JSON"),
        (b'{"schema": 99, "type": "RunStep"}', "it cannot be read: schema 99 is not understood here"),
        (b'{"schema": 1, "type": "Unheard"}', "it cannot be read: type 'Unheard' is not known"),
    ],
)
def test_what_cannot_be_read_is_not_safe(body: bytes, why: str, api: Api, queues: FakeQueues) -> None:
    safe, says = judged(api, queues, EVENTS_QUEUE, body)
    assert (safe, says.startswith(why)) == (False, True), says


def test_a_report_is_safe_whether_the_promotion_waits_for_it_or_not(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    report = answer(api.steps[0])
    assert judged(api, queues, EVENTS_QUEUE, report) == (True, "the promotion waits for this report")
    assert failures(api)[-1]["environment"] == "dev"
    api.run()
    stale = "nobody waits for this report any more: it changes nothing"
    assert judged(api, queues, EVENTS_QUEUE, report) == (True, stale)


def test_news_are_safe_unless_they_are_superseded(api: Api, queues: FakeQueues) -> None:
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, why.endswith(" comes of it")) == (True, True)
    api.start("10", through="test")
    api.run()
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, why.partition(":")[0]) == (False, "it is superseded")


def test_news_of_which_a_promotion_came_already_change_nothing(api: Api, queues: FakeQueues) -> None:
    api.app.advance(encode(registered()))
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, "came of it already" in why) == (True, True)


def test_news_that_concern_no_route_and_looks_for_registrations_are_safe(api: Api, queues: FakeQueues) -> None:
    job = JobEnded(DEV_WORKSPACE, "job-1", "unheard-of", "Completed", {}, "event-grid")
    assert judged(api, queues, EVENTS_QUEUE, job) == (True, "no route is concerned: nothing comes of it")
    now = datetime.now(UTC)
    assert judged(api, queues, "steps-dev", FindRegistrations("dev", now, now))[0] is True


# --- lists ------------------------------------------------------------------------------------------------------------


def test_filters_narrow_the_list(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    other = api.post("promotions", {"model": "fraud", "version": "1", "reason": "x"}).body["id"]
    news = queues.bury(EVENTS_QUEUE, registered())
    command = queues.bury("steps-test", api.steps[0])

    def listed(query: str) -> list[str]:
        return [failure["id"] for failure in failures(api, query)]

    assert listed("") == [promotion, news, command]
    assert listed("?queue=steps-test") == [promotion, command]
    assert listed(f"?queue={EVENTS_QUEUE}") == [news]
    assert listed("?class=bug") == [news, command]
    assert listed("?step=share&model=fraud") == [command]
    assert listed("?route=churn") == [promotion, news]
    assert listed("?environment=dev") == [news]
    assert other not in listed("")


def test_pages_go_through_promotions_and_all_queues_without_gaps_or_repeats(api: Api, queues: FakeQueues) -> None:
    expected = {failed(api, str(version)) for version in range(1, 4)}
    expected |= {queues.bury(EVENTS_QUEUE, registered(version=str(number))) for number in range(20, 27)}
    expected |= {queues.bury("steps-prod", b"{}") for _ in range(4)}
    seen: list[str] = []
    address: str | None = "failures?top=2"
    while address is not None:
        page = api.get(address).body
        assert len(page["value"]) <= 2
        seen += [failure["id"] for failure in page["value"]]
        address = "failures?" + page["nextLink"].partition("?")[2] if page["nextLink"] else None
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize(
    "query",
    [
        "top=0",
        "class=unheard",
        "status=failed",
        "continuation=steps-dev~x",
        "queue=elsewhere",
        "environment=nowhere",
        "route=unheard",
        "step=guess",
        "continuation=steps-dev~9223372036854775808",
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(query: str, api: Api, queues: FakeQueues) -> None:
    assert api.get(f"failures?{query}").status == 400


def test_a_queue_that_cannot_be_reached_is_named(api: Api, queues: FakeQueues) -> None:
    queues.down.add("steps-prod")
    unavailable = api.get("failures")
    assert (unavailable.status, "steps-prod" in unavailable.body["detail"]) == (503, True)
    assert api.get(f"failures?queue={EVENTS_QUEUE}").status == 200


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_failed_promotion_goes_on_from_the_step_that_failed(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    [item] = replay(api, ids=[promotion]).body["value"]
    assert (item["outcome"], item["text"]) == ("replayed", "it is tried again, from deploy in test")
    assert [(command.step, command.attempt) for command in api.steps] == [("deploy", 2)]
    assert api.get(f"promotions/{promotion}").body["journal"][-2]["text"] == "alice: mended; from test"


def test_the_same_replay_again_does_nothing(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    dead = queues.bury(EVENTS_QUEUE, registered())
    replay(api, ids=[promotion, dead])
    commands = list(api.bus.commands)
    assert outcomes(replay(api, ids=[promotion, dead])) == {promotion: "refused", dead: "not-found"}
    assert api.bus.commands == commands
    assert len(queues.queues[EVENTS_QUEUE]) == 1


def test_an_earlier_step_can_be_named(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert outcomes(replay(api, ids=[promotion], from_step="smoke")) == {promotion: "refused"}
    assert outcomes(replay(api, ids=[promotion], from_step="validate")) == {promotion: "replayed"}
    assert [command.step for command in api.steps] == ["validate"]


def test_a_step_that_no_plan_has_cannot_be_named(api: Api, queues: FakeQueues) -> None:
    answer = replay(api, ids=[failed(api, "1")], from_step="bake")
    assert (answer.status, answer.body["detail"].split(";")[0]) == (400, "from_step: there is no step 'bake'")


def test_what_is_superseded_is_refused_and_says_so(api: Api, queues: FakeQueues) -> None:
    older = failed(api, "1")
    api.start("2", through="test")
    api.run()
    news = queues.bury(EVENTS_QUEUE, registered(version="1"))
    for item in replay(api, ids=[older, news]).body["value"]:
        assert (item["outcome"], item["text"].partition(":")[0]) == ("refused", "it is superseded")
    assert api.bus.commands == []
    assert queues.queues == {}


def test_a_dead_letter_goes_back_with_its_body_under_an_id_of_its_own(api: Api, queues: FakeQueues) -> None:
    promotion = api.start("1")
    [command] = api.steps
    dead = queues.bury("steps-dev", command)
    assert outcomes(replay(api, ids=[dead])) == {dead: "replayed"}
    [message] = queues.queues["steps-dev"]
    number = dead.partition(":")[2]
    assert (message.message_id, message.body) == (f"{command.message_id}:replay-{number}", encode(command))
    assert failures(api) == []
    noted = api.get(f"promotions/{promotion}").body["journal"][-1]
    assert (noted["what"], noted["text"]) == ("replayed", f"alice: mended; dead letters {dead}")


def test_a_report_that_names_another_lane_than_its_promotions_changes_nothing(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    forged = replace(answer(api.steps[0]), lane=LaneKey("churn", "churn-other"))
    dead = queues.bury(EVENTS_QUEUE, forged)
    assert outcomes(replay(api, ids=[dead])) == {dead: "replayed"}


def test_what_cannot_be_read_stays_where_it_is(api: Api, queues: FakeQueues) -> None:
    dead = queues.bury(EVENTS_QUEUE, b"{}")
    good = queues.bury(EVENTS_QUEUE, registered())
    assert outcomes(replay(api, ids=[dead, good])) == {dead: "refused", good: "replayed"}
    assert [failure["id"] for failure in failures(api)] == [dead]


def test_what_is_not_there_is_said(api: Api, queues: FakeQueues) -> None:
    queues.bury("steps-dev", b"{}")
    ids = ["nobody", f"{EVENTS_QUEUE}:1", "elsewhere:1", *(f"steps-dev:{text}" for text in ("x", "²", "01", 2**63))]
    assert outcomes(replay(api, ids=ids)) == dict.fromkeys(ids, "not-found")


def test_dying_between_the_copy_and_the_end_of_a_dead_letter_neither_loses_nor_doubles_it(
    api: Api, queues: FakeQueues
) -> None:
    dead = [queues.bury(EVENTS_QUEUE, registered(version=str(number))) for number in range(10, 15)]
    queues.moves_left = 2
    with pytest.raises(Crash):
        replay(api, ids=dead)
    queues.moves_left = None
    left = [failure["id"] for failure in failures(api)]
    assert len(left) == 3
    assert set(outcomes(replay(api, ids=left)).values()) == {"replayed"}
    assert failures(api) == []
    sent = [message.message_id for message in queues.queues[EVENTS_QUEUE]]
    assert len(sent) == len(set(sent)) == 5


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(api: Api, queues: FakeQueues) -> None:
    promotion, dead = failed(api, "1"), queues.bury(EVENTS_QUEUE, registered())
    unreadable = queues.bury(EVENTS_QUEUE, b"{}")
    before = api.get(f"promotions/{promotion}").body, failures(api)
    answer = replay(api, filter={}, dry_run=True)
    assert answer.body["dryRun"] is True
    assert outcomes(answer) == {promotion: "replayable", dead: "replayable", unreadable: "refused"}
    assert (api.get(f"promotions/{promotion}").body, failures(api)) == before
    assert (api.bus.commands, queues.queues) == ([], {})


def test_a_dry_run_refuses_what_the_replay_would_refuse(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert outcomes(replay(api, ids=[promotion], from_step="smoke", dry_run=True)) == {promotion: "refused"}


def test_a_filter_replays_all_that_it_takes(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    wanted = {queues.bury("steps-test", RunStep(**vars(command))) for command in _commands(api, 3)}
    queues.bury(EVENTS_QUEUE, registered())
    answer = replay(api, filter={"queue": "steps-test", "class": "bug"})
    assert outcomes(answer) == dict.fromkeys(wanted, "replayed")
    assert answer.body["continuation"] is None
    assert [failure["what"] for failure in failures(api)] == ["promotion", "dead-letter"]
    assert outcomes(replay(api, filter={"class": "container-crash"})) == {promotion: "replayed"}


def _commands(api: Api, number: int) -> list[RunStep]:
    """Commands for steps-test that no promotion waits for."""
    [deploy] = [step for step in _run_recorded(api) if step.step == "deploy" and step.stage == "test"][:1]
    return [replace(deploy, look=100 + each) for each in range(number)]


def _run_recorded(api: Api) -> list[RunStep]:
    api.post("promotions", {"model": "churn-other", "version": "1", "reason": "x", "through": "test"})
    ran: list[RunStep] = []
    while api.steps:
        ran.append(api.steps[0])
        api.bus.commands.pop(0)
        api.app.lanes.apply(answer(ran[-1]))
    return ran


def test_more_than_one_request_takes_is_reached_with_the_continuation(api: Api, queues: FakeQueues) -> None:
    for number in range(450):
        queues.bury(EVENTS_QUEUE, b"{}" if number % 2 else registered(version=str(number)))
    continuation = None
    done: dict[str, str] = {}
    for _ in range(10):
        answer = replay(api, filter={}, continuation=continuation)
        done |= outcomes(answer)
        continuation = answer.body["continuation"]
        if continuation is None:
            break
    assert len(done) == 450
    assert len(queues.queues[EVENTS_QUEUE]) == 225


def test_what_somebody_else_has_just_now_is_not_reached(api: Api, queues: FakeQueues) -> None:
    held, free = (queues.bury(EVENTS_QUEUE, registered(version=version)) for version in ("8", "9"))
    queues.held.add(int(held.partition(":")[2]))
    assert outcomes(replay(api, ids=[held, free])) == {held: "not-reached", free: "replayed"}


def test_a_replay_takes_an_operator_who_has_signed_in(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert replay(api, by={}, ids=[promotion]).status == 403
    answer = replay(api, by=BOB, ids=[promotion], dry_run=True)
    assert (answer.status, answer.body["detail"]) == (403, "bob needs the role Promotion.Operator")
    assert api.bus.commands == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "say either ids or filter; an empty filter means everything that failed"),
        ({"ids": ["a"], "filter": {}}, "say either ids or filter; an empty filter means everything that failed"),
        ({"ids": ["a"], "continuation": "x"}, "continuation: goes with a filter only"),
        ({"filter": {"class": "unheard"}}, "class 'unheard' is none of refused"),
        ({"filter": {"kind": "bug"}}, "filter.kind: unknown; known are queue, route, model, environment, step, class"),
        ({"filter": {}, "continuation": "x"}, "the continuation is none that was given here"),
        ({"ids": "a"}, "ids: must be a list"),
        ({"filter": {"environment": "nowhere"}}, "environment 'nowhere' is none of dev, test, prod"),
        ({"filter": {}, "dry_run": "yes"}, "dry_run: must be true or false"),
        ({"filter": {}, "reason": ""}, "reason: must be a text"),
    ],
)
def test_a_body_that_cannot_be_meant_is_told_in_words(
    body: dict[str, object], detail: str, api: Api, queues: FakeQueues
) -> None:
    answer = ask(api, body)
    assert answer.status == 400
    assert answer.body["detail"].startswith(detail)
