"""`GET /failures`: what failed, and whether a replay is safe."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.message_bodies import encode
from shared.core.messages import RECONCILE, Failed, FailureKind, FindRegistrations, JobEnded
from shared.core.queues import EVENTS_QUEUE, reports_queue
from shared.core.replacing import replace
from tests.core.world import NOW, answer
from tests.fakes.queues import FakeQueues
from tests.functions.conftest import Api
from tests.functions.failing import BROKEN, CRASHED, DEV_WORKSPACE, failed, failures, outcomes, registered, replay

# --- what failed ------------------------------------------------------------------------------------------------------


def test_a_failed_promotion_is_shown_with_what_is_needed_to_mend_it(api: Api, queues: FakeQueues) -> None:
    promotion = failed(api, "1")
    [failure] = failures(api)
    assert failure["id"] == failure["promotion"] == promotion
    assert (failure["what"], failure["kind"], failure["tried"]) == ("promotion", "container-crash", 1)
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
    assert (failure["step"], failure["kind"]) == ("deploy", "container-crash")


def test_a_gate_that_refused_and_could_not_be_undone_shows_what_could_not(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    refused = Failed("too slow", FailureKind.REFUSED)
    api.run({("test", "smoke"): refused, ("test", "remove"): Failed("locked", FailureKind.PERMISSION)})
    [failure] = failures(api)
    assert (failure["step"], failure["kind"]) == ("remove", "permission")


def test_a_superseded_promotion_is_not_safe_to_replay(api: Api, queues: FakeQueues) -> None:
    older = failed(api, "1")
    api.start("2", through="test")
    api.run()
    [failure] = failures(api)
    assert (failure["id"], failure["replay"]["safe"]) == (older, False)
    assert failure["replay"]["why"] == "the promotion is superseded: version 2 is newer and already serves test"


def test_a_dead_letter_says_how_often_it_was_tried_and_what_it_is_about(api: Api, queues: FakeQueues) -> None:
    promotion = api.start("1")
    [command] = api.steps
    dead = queues.bury("steps-dev", command)
    [failure] = failures(api)
    assert (failure["id"], failure["what"], failure["kind"]) == (dead, "dead-letter", "bug")
    assert (failure["queue"], failure["environment"]) == ("steps-dev", "dev")
    assert (failure["promotion"], failure["stage"], failure["step"]) == (promotion, "test", "share")
    assert (failure["tried"], failure["at"]) == (10, "2026-11-20T11:00:00+00:00")
    assert failure["reason"].startswith("Each of 10 deliveries failed")
    assert command.message_id in failure["reason"]


def test_an_expired_dead_letter_is_a_timeout_and_one_put_aside_by_hand_says_why(api: Api, queues: FakeQueues) -> None:
    queues.bury(EVENTS_QUEUE, registered(), reason="TTLExpiredException")
    queues.bury(EVENTS_QUEUE, registered(), reason="looked odd", description="by bob")
    expired, by_hand = failures(api)
    assert (expired["kind"], by_hand["kind"]) == ("timeout", "bug")
    assert by_hand["reason"].endswith("was dead-lettered: looked odd: by bob.")


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
    """Its promotion may have been retried since and may serve: it would lose its traffic or its deployment."""
    api.start("1")
    [command] = api.steps
    api.run()
    late = replace(command, step=step, environment="test")
    safe, why = judged(api, queues, "steps-test", late)
    assert (safe, why.partition(":")[0]) == (False, "the promotion is superseded")
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


def test_a_command_of_a_promotion_that_does_not_exist_is_not_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    assert judged(api, queues, "steps-dev", replace(api.steps[0], promotion="nobody"))[0] is False


def test_a_command_whose_step_was_given_up_does_nothing(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    [command] = api.steps
    late = replace(command, not_after=datetime.now(UTC) - timedelta(hours=1))
    safe, why = judged(api, queues, "steps-dev", late)
    assert (safe, why.partition(" at ")[0]) == (True, "the command expired")


def test_what_lies_in_the_wrong_queue_is_not_safe(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    [command] = api.steps
    for queue, message, why in (
        ("steps-prod", command, "the command is for the worker of dev, and the worker of prod refuses it"),
        ("steps-prod", FindRegistrations("dev", NOW, NOW), "the command is for the worker of dev"),
        ("steps-dev", registered(), "ModelRegistered is not a command"),
        ("steps-dev", answer(command), "StepReported is not a command"),
        (EVENTS_QUEUE, command, "RunStep is not news from a workspace"),
        (EVENTS_QUEUE, answer(command), "StepReported is not news from a workspace"),
        ("reports-dev", command, "RunStep is not a message that a worker sends"),
        ("reports-dev", registered(), "a worker may report registrations only with the source reconcile"),
    ):
        safe, says = judged(api, queues, queue, message)
        assert (safe, says.startswith(f"it is in the wrong queue: {why}")) == (False, True), says


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "it cannot be read: the message is not JSON"),
        (b'{"schema": 99, "type": "RunStep"}', "it cannot be read: schema 99 is not supported here"),
        (b'{"schema": 1, "type": "Unheard"}', "it cannot be read: unknown type 'Unheard'"),
    ],
)
def test_what_cannot_be_read_is_not_safe(body: bytes, why: str, api: Api, queues: FakeQueues) -> None:
    safe, says = judged(api, queues, EVENTS_QUEUE, body)
    assert (safe, says.startswith(why)) == (False, True), says


def test_a_report_is_safe_whether_the_promotion_waits_for_it_or_not(api: Api, queues: FakeQueues) -> None:
    api.start("1")
    report = answer(api.steps[0])
    assert judged(api, queues, "reports-dev", report) == (True, "the promotion waits for this report")
    assert failures(api)[-1]["environment"] == "dev"
    api.run()
    stale = "nothing waits for this report any longer: it changes nothing"
    assert judged(api, queues, "reports-dev", report) == (True, stale)


def test_a_report_in_the_queue_of_another_environment_is_not_replayed(api: Api, queues: FakeQueues) -> None:
    promotion = api.start("1")
    dead = queues.bury(reports_queue("test"), answer(api.steps[0]))
    [failure] = failures(api)
    why = "it is in the wrong queue: share in test is a step of dev, but the report came from test"
    assert failure["replay"] == {"safe": False, "why": why}
    assert (failure["promotion"], failure["environment"]) == (promotion, "test")
    assert outcomes(replay(api, ids=[dead])) == {dead: "refused"}
    assert queues.queues == {}


def test_what_a_worker_found_in_its_own_workspace_is_safe_and_in_another_is_not(api: Api, queues: FakeQueues) -> None:
    found = registered(source=RECONCILE)
    safe, why = judged(api, queues, "reports-dev", found)
    assert (safe, why.endswith(" would start from it")) == (True, True)
    safe, why = judged(api, queues, "reports-test", found)
    assert (safe, why) == (
        False,
        f"it is in the wrong queue: the worker of test reported a model in {DEV_WORKSPACE}, which is not its workspace",
    )


def test_news_are_safe_unless_they_are_superseded(api: Api, queues: FakeQueues) -> None:
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, why.endswith(" would start from it")) == (True, True)
    api.start("10", through="test")
    api.run()
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, why.partition(":")[0]) == (False, "the promotion is superseded")


def test_news_that_already_started_a_promotion_changes_nothing(api: Api, queues: FakeQueues) -> None:
    api.app.coordinator.advance(encode(registered()))
    safe, why = judged(api, queues, EVENTS_QUEUE, registered())
    assert (safe, "was already started from it" in why) == (True, True)


def test_news_that_concern_no_route_and_looks_for_registrations_are_safe(api: Api, queues: FakeQueues) -> None:
    job = JobEnded(DEV_WORKSPACE, "job-1", "unheard-of", "Completed", {}, "event-grid")
    assert judged(api, queues, EVENTS_QUEUE, job) == (True, "no route takes it, so it would do nothing")
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
    assert listed("?kind=bug") == [news, command]
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
        address = "failures?" + page["next_link"].partition("?")[2] if page["next_link"] else None
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
def test_an_invalid_query_is_refused(query: str, api: Api, queues: FakeQueues) -> None:
    assert api.get(f"failures?{query}").status == 400


def test_a_queue_that_cannot_be_reached_is_named(api: Api, queues: FakeQueues) -> None:
    queues.down.add("steps-prod")
    unavailable = api.get("failures")
    assert (unavailable.status, "steps-prod" in unavailable.body["detail"]) == (503, True)
    assert api.get(f"failures?queue={EVENTS_QUEUE}").status == 200
