"""`POST /failures/replay`: what a replay does, and what it refuses."""

import pytest

from shared.core.message_bodies import encode
from shared.core.messages import LaneKey, RunStep
from shared.core.queues import EVENTS_QUEUE
from shared.core.replacing import replace
from tests.core.world import answer
from tests.fakes.queues import Crash, FakeQueues
from tests.functions.conftest import BOB, Api
from tests.functions.failing import ask, failed, failures, outcomes, registered, replay


def test_a_failed_promotion_is_tried_again_and_what_is_deployed_is_validated_again(
    api: Api, queues: FakeQueues
) -> None:
    promotion = failed(api, "1")
    [item] = replay(api, ids=[promotion]).body["value"]
    assert (item["outcome"], item["text"]) == ("replayed", "it is being retried, from share in test")
    assert [(command.step, command.attempt) for command in api.steps] == [("share", 2)]
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
    assert outcomes(replay(api, ids=[promotion], from_step="share")) == {promotion: "replayed"}
    assert [command.step for command in api.steps] == ["share"]


def test_a_step_that_no_plan_has_cannot_be_named(api: Api, queues: FakeQueues) -> None:
    answer = replay(api, ids=[failed(api, "1")], from_step="bake")
    assert (answer.status, answer.body["detail"].split(";")[0]) == (400, "from_step: unknown step 'bake'")


def test_what_is_superseded_is_refused_and_says_so(api: Api, queues: FakeQueues) -> None:
    older = failed(api, "1")
    api.start("2", through="test")
    api.run()
    news = queues.bury(EVENTS_QUEUE, registered(version="1"))
    for item in replay(api, ids=[older, news]).body["value"]:
        assert (item["outcome"], item["text"].partition(":")[0]) == ("refused", "the promotion is superseded")
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
    dead = queues.bury("reports-dev", forged)
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
    assert answer.body["dry_run"] is True
    assert outcomes(answer) == {promotion: "replayable", dead: "replayable", unreadable: "refused"}
    assert (api.get(f"promotions/{promotion}").body, failures(api)) == before
    assert (api.bus.commands, queues.queues) == ([], {})


def test_a_dry_run_refuses_what_the_replay_would_refuse(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert outcomes(replay(api, ids=[promotion], from_step="smoke", dry_run=True)) == {promotion: "refused"}


def test_a_filter_replays_all_that_it_takes(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    wanted = {queues.bury("steps-test", command) for command in _commands(api, 3)}
    queues.bury(EVENTS_QUEUE, registered())
    answer = replay(api, filter={"queue": "steps-test", "kind": "bug"})
    assert outcomes(answer) == dict.fromkeys(wanted, "replayed")
    assert answer.body["continuation"] is None
    assert [failure["what"] for failure in failures(api)] == ["promotion", "dead-letter"]
    assert outcomes(replay(api, filter={"kind": "container-crash"})) == {promotion: "replayed"}


def _commands(api: Api, number: int) -> list[RunStep]:
    """Commands for steps-test that no promotion waits for."""
    [deploy] = [step for step in _run_recorded(api) if step.step == "deploy" and step.stage == "test"][:1]
    return [replace(deploy, poll=100 + each) for each in range(number)]


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


def test_a_replay_requires_a_signed_in_operator(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    assert replay(api, by={}, ids=[promotion]).status == 403
    answer = replay(api, by=BOB, ids=[promotion], dry_run=True)
    assert (answer.status, answer.body["detail"]) == (403, "bob needs the role Promotion.Operator to do this.")
    assert api.bus.commands == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "give either ids or filter; an empty filter means every failure"),
        ({"ids": ["a"], "filter": {}}, "give either ids or filter; an empty filter means every failure"),
        ({"ids": ["a"], "continuation": "x"}, "continuation: can be used with a filter only"),
        ({"filter": {"kind": "unheard"}}, "unknown kind 'unheard'; known are refused"),
        ({"filter": {"class": "bug"}}, "filter.class: unknown; known are queue, route, model, environment, step, kind"),
        ({"filter": {}, "continuation": "x"}, "unknown continuation token"),
        ({"ids": "a"}, "ids: must be a list"),
        ({"filter": {"environment": "nowhere"}}, "unknown environment 'nowhere'; known are dev, test, prod"),
        ({"filter": {}, "dry_run": "yes"}, "dry_run: must be true or false"),
        ({"filter": {}, "reason": ""}, "reason: must be a string"),
    ],
)
def test_an_invalid_body_is_reported_in_words(
    body: dict[str, object], detail: str, api: Api, queues: FakeQueues
) -> None:
    answer = ask(api, body)
    assert answer.status == 400
    assert answer.body["detail"].startswith(detail)
