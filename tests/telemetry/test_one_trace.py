"""One trace per promotion, over all queues and functions, as a tree: promotion, step, looks and decisions."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from shared.cloud.bus import ServiceBus
from shared.coordinator.coordinator import MOST_DEAD_LETTERS
from shared.core.events import Approved, Person
from shared.core.lane import Decision
from shared.core.message_bodies import decode
from shared.core.messages import LaneKey, ModelRegistered, RunStep
from shared.ports import DeadLetter, DeadLetters, QueueUnavailableError, UnavailableError
from shared.telemetry.telemetry import trace_id, traceparent
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import MODEL, VERSION, Observed

BOB = Person("id-of-bob", "bob", ("Promotion.Approver",))
ABOUT = {"route": "churn", "model": MODEL}


def approve(observed: Observed) -> None:
    lane, promotion = LaneKey("churn", MODEL), observed.promotion["id"]
    observed.app.lanes.apply(Approved(lane, promotion, BOB, "looks good"))


@pytest.fixture
def finished(observed: Observed) -> Observed:
    """A promotion that has succeeded."""
    observed.register()
    observed.run()
    approve(observed)
    observed.run()
    assert observed.promotion["status"] == "succeeded", observed.promotion
    return observed


def test_all_functions_put_their_spans_into_the_one_trace_of_the_promotion(finished: Observed) -> None:
    spans = finished.spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {trace_id(finished.promotion["id"])}
    names = {span.name for span in spans}
    assert {"intake", "advance: PromotionRequested", "run share", "advance: StepReported"} <= names
    assert {"run deploy", "advance: Approved", "test deploy", "prod approve", "prod shift"} <= names
    assert {span.attributes["promotion"] for span in spans if span.attributes} == {finished.promotion["id"]}


def test_the_spans_are_a_tree_of_promotion_steps_and_what_is_done_for_them(finished: Observed) -> None:
    (root,) = finished.named(f"promotion of {MODEL} {VERSION}")
    assert root.parent is None
    (step,) = finished.named("test deploy")
    assert step.parent is not None
    assert step.parent.span_id == root.context.span_id
    looks = [
        span
        for span in finished.named("run deploy", "advance: StepReported")
        if span.attributes and (span.attributes["stage"], span.attributes["step"]) == ("test", "deploy")
    ]
    assert len(looks) >= 4
    assert {span.parent.span_id for span in looks if span.parent} == {step.context.span_id}
    (intake,) = finished.named("intake")
    assert intake.parent is not None
    assert intake.parent.span_id == root.context.span_id
    ids = Counter(span.context.span_id for span in finished.spans.get_finished_spans())
    assert set(ids.values()) == {1}


def test_the_intake_lasts_from_the_notification_until_its_promotion_begins(observed: Observed) -> None:
    before = time.time_ns()
    observed.register()
    sent = time.time_ns()
    assert observed.named("intake") == [], "whose trace it belongs to is not known before the news is routed"
    observed.run()
    (intake,) = observed.named("intake")
    (advance,) = observed.named("advance: PromotionRequested")
    assert intake.attributes
    assert (intake.attributes["event"], intake.attributes["workspace"]) == ("ModelRegistered", WORKSPACE.format("dev"))
    assert before - 1000 <= (intake.start_time or 0) <= sent
    assert sent <= (intake.end_time or 0) <= (advance.end_time or 0)


def test_each_poll_says_what_it_was_about_and_how_it_went(finished: Observed) -> None:
    looks = [dict(span.attributes or {}) for span in finished.named("run deploy")]
    first = next(look for look in looks if look["stage"] == "prod")
    about = {"promotion": finished.promotion["id"], **ABOUT, "stage": "prod", "step": "deploy"}
    assert first == about | {"attempt": 1, "poll": 1, "outcome": "Running"}
    assert [look["outcome"] for look in looks if look["stage"] == "prod"][-1] == "Succeeded"


def test_a_step_lasts_from_its_first_poll_to_its_end(finished: Observed) -> None:
    (step,) = finished.named("prod deploy")
    assert step.attributes
    assert (step.attributes["status"], step.attributes["environment"]) == ("succeeded", "prod")
    assert int(step.attributes["polls"]) > 1  # type: ignore[arg-type]  # attributes have many types
    runs = [span for span in finished.named("run deploy") if (span.attributes or {})["stage"] == "prod"]
    assert step.start_time is not None
    assert step.end_time is not None
    assert all(step.start_time <= (run.start_time or 0) <= (run.end_time or 0) <= step.end_time for run in runs)


def test_a_failure_marks_poll_step_and_promotion_with_its_reason(observed: Observed) -> None:
    observed.app.workspaces["test"].fails_to_deploy = "ImageBuildFailure: no such image"
    observed.register()
    observed.run()
    failed = [span for span in observed.spans.get_finished_spans() if not span.status.is_ok]
    assert {span.name for span in failed} == {"run deploy", "test deploy", f"promotion of {MODEL} {VERSION}"}
    assert all("no such image" in str((span.attributes or {})["reason"]) for span in failed)
    assert all((span.attributes or {}).get("failure", "bad-config") for span in failed)


def test_promotions_and_steps_are_counted_and_timed_by_how_they_ended(finished: Observed) -> None:
    assert finished.metric("mlpromote.promotions") == [({"route": "churn", "status": "succeeded"}, 1)]
    ((about, (count, _)),) = finished.metric("mlpromote.promotion.duration")
    assert (about["status"], count) == ("succeeded", 1)
    steps = {(one["stage"], one["step"]): value for one, value in finished.metric("mlpromote.step.duration")}
    assert set(steps) == {("test", "share"), *((s, n) for s in ("test", "prod") for n in _STEPS)}
    assert all(count == 1 for count, _ in steps.values())
    ((approval, (approvals, waited)),) = finished.metric("mlpromote.approval.waiting")
    assert approval == {"route": "churn", "stage": "prod", "step": "approve", "status": "succeeded"}
    assert approvals == 1
    assert waited > 0


_STEPS = ("validate", "check_capacity", "deploy", "smoke", "shift", "retire")


def test_polls_that_could_not_be_made_are_counted(observed: Observed) -> None:
    observed.app.workspaces["test"].raises["start_deployment"] = UnavailableError("throttled")
    observed.register()
    observed.run()
    assert observed.metric("mlpromote.step.retries") == [({"environment": "test", "step": "deploy"}, 1)]


def test_a_delivery_that_fails_is_counted_for_its_queue(observed: Observed) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        observed.app.coordinator.advance(b"{")
    with pytest.raises(ValueError, match="not JSON"):
        observed.app.worker.receive("prod", b"{")
    with pytest.raises(ValueError, match="not JSON"):
        observed.app.coordinator.take_report("test", b"{")
    counted = {about["queue"]: value for about, value in observed.metric("mlpromote.deliveries.failed")}
    assert counted == {"promotion-events": 1, "steps-prod": 1, "reports-test": 1}


class KeptDeadLetters(DeadLetters):
    """So many are in each queue; one queue may not be looked at."""

    def check_sending(self, queue: str) -> None:
        raise AssertionError("only counted")

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        if queue == "steps-prod":
            raise QueueUnavailableError("steps-prod: no right to listen")
        letter = DeadLetter(queue, start, "id", b"", "", "", 10, datetime.now(UTC))
        return [letter] * min({"promotion-events": 2, "steps-test": 500, "reports-prod": 3}.get(queue, 0), most)

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        raise AssertionError("only counted")

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        raise AssertionError("only counted")


def test_dead_letters_are_counted_by_queue_each_minute(observed: Observed) -> None:
    observed.app.dead_letters = KeptDeadLetters()
    observed.app.coordinator.reconcile()
    counted = {about["queue"]: value for about, value in observed.metric("mlpromote.dead_letters")}
    none = dict.fromkeys(("steps-dev", "reports-dev", "reports-test"), 0)
    assert counted == {"promotion-events": 2, "steps-test": MOST_DEAD_LETTERS, "reports-prod": 3, **none}


def test_a_stale_delivery_ends_nothing_twice(finished: Observed) -> None:
    ended = len(finished.named("test deploy"))
    finished.register()
    finished.run()
    assert len(finished.named("test deploy")) == ended
    assert finished.metric("mlpromote.promotions") == [({"route": "churn", "status": "succeeded"}, 1)]


def test_log_lines_carry_promotion_route_stage_and_step(observed: Observed, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mlpromote"):
        observed.register()
        observed.run()
    about = {"promotion": observed.promotion["id"], **ABOUT, "stage": "test", "step": "deploy"}
    told = [record for record in caplog.records if about.items() <= vars(record).items()]
    assert any("Running" in record.getMessage() for record in told)
    assert any(vars(record).get("what") == "step-succeeded" for record in told)


def test_a_promotion_that_has_ended_is_not_counted_again_by_a_later_decision_on_its_lane(finished: Observed) -> None:
    lane, _ = finished.app.store.load(LaneKey("churn", MODEL), finished.promotion["id"])
    finished.app.telemetry.decided(lane, Decision(lane, ()))
    assert finished.metric("mlpromote.promotions") == [({"route": "churn", "status": "succeeded"}, 1)]
    assert len(finished.named(f"promotion of {MODEL} {VERSION}")) == 1


def test_the_messages_of_a_step_carry_its_place_in_the_trace(observed: Observed) -> None:
    observed.register()
    queue, news = observed.bus.messages[0]
    assert traceparent(decode(news)) is None
    observed.app.coordinator.advance(news)
    command = decode(observed.bus.messages[-1][1])
    observed.app.worker.receive("dev", observed.bus.messages[-1][1])
    report = decode(observed.bus.messages[-1][1])
    assert queue == "promotion-events"
    written = traceparent(command)
    assert written is not None
    assert written == traceparent(report)
    version, trace, span, flags = written.split("-")
    assert (version, trace, flags) == ("00", trace_id(observed.promotion["id"]), "01")
    runs = observed.named("run share")
    assert {f"{run.parent.span_id:016x}" for run in runs if run.parent} == {span}


class KeptSender:
    """Keeps what is sent to any queue."""

    def __init__(self) -> None:
        self.sent: list[ServiceBusMessage] = []

    def get_queue_sender(self, _: str) -> "KeptSender":
        return self

    def send_messages(self, messages: ServiceBusMessage | list[ServiceBusMessage], timeout: float) -> None:
        self.sent += messages if isinstance(messages, list) else [messages]


def test_the_trace_context_travels_as_application_properties(observed: Observed) -> None:
    observed.register()
    news, client = decode(observed.bus.messages[0][1]), KeptSender()
    observed.app.coordinator.advance(observed.bus.messages[0][1])
    command = decode(observed.bus.messages[-1][1])
    assert isinstance(news, ModelRegistered)
    assert isinstance(command, RunStep)
    bus = ServiceBus(cast("ServiceBusClient", client))
    bus.send_events([news])
    bus.send_commands([command])
    without, with_context = client.sent
    assert without.application_properties is None
    expected = traceparent(command)
    assert with_context.application_properties == {"traceparent": expected, "Diagnostic-Id": expected}
