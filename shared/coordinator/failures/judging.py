"""Describes failures, which are failed promotions and dead letters, and judges whether a replay of each is safe.

Most messages can be delivered again at any time without harm: a step first checks whether its effect exists, and a
report that nobody waits for changes nothing. Messages are not replayed if they cannot be read, are in the wrong queue,
or are superseded. The last applies above all to commands that move traffic or undo something after their promotion has
moved on: they would affect what came later.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.coordinator import catching_up, routing
from shared.core import incoming
from shared.core.commands import due
from shared.core.events import PromotionRequested
from shared.core.lane import decide
from shared.core.messages import (
    Command,
    Event,
    FailureKind,
    FindRegistrations,
    LaneKey,
    News,
    RunStep,
    StepReported,
)
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StageStatus, StepRun
from shared.core.queues import environment_of, steps_queue
from shared.core.trying_again import why_not_retried
from shared.core.wire import UndecodableError
from shared.ports import DeadLetter, Store

if TYPE_CHECKING:
    from shared.config import Configuration, WorkspaceReference

log = logging.getLogger("mlpromote")

#: The broker's reasons.
_DELIVERED_TOO_OFTEN = "MaxDeliveryCountExceeded"
_EXPIRED = "TTLExpiredException"


@dataclass(frozen=True)
class Judgement:
    """Whether a replay is safe, and why."""

    safe: bool
    why: str


@dataclass(frozen=True)
class Failure:
    """Something that failed. Fields for places are None if unknown or not applicable."""

    id: str  #: of the promotion; for a dead letter: `queue:sequence number`
    kind: FailureKind
    reason: str  #: in words
    tried: int  #: attempts of the stage; deliveries of a dead letter
    at: datetime
    replay: Judgement
    queue: str | None = None  #: the queue that it is in, or the command queue of the failed step
    lane: LaneKey | None = None
    promotion: str | None = None
    stage: str | None = None
    step: str | None = None
    environment: str | None = None  #: of the step's worker, the report's sender, or the news
    diagnosis: str = ""  #: such as the last lines of the container's log
    dead_letter: DeadLetter | None = None  #: None for a promotion


@dataclass(frozen=True)
class FailureFilter:
    """Selects failures; None means any."""

    queue: str | None = None
    route: str | None = None
    model: str | None = None
    environment: str | None = None
    step: str | None = None
    kind: str | None = None  #: a `FailureKind`

    def check(self) -> None:
        """Raise ValueError, with a text for people, for values that no failure can have."""
        if self.kind is not None and self.kind not in set(FailureKind):
            raise ValueError(f"unknown kind {self.kind[:100]!r}; known are {', '.join(FailureKind)}")

    def takes(self, failure: Failure) -> bool:
        lane = failure.lane
        pairs = (
            (self.queue, failure.queue),
            (self.route, lane.route if lane else None),
            (self.model, lane.model if lane else None),
            (self.environment, failure.environment),
            (self.step, failure.step),
            (self.kind, failure.kind),
        )
        return all(wanted in (None, found) for wanted, found in pairs)


class Failures:
    """Judges failures at one moment: loads everything only once."""

    def __init__(self, store: Store, configuration: "Configuration", now: datetime) -> None:
        self._store = store
        self._configuration = configuration
        self._now = now
        self._lanes: dict[tuple[LaneKey, str | None], Lane] = {}

    def of_promotion(self, promotion: Promotion) -> Failure:
        """The failure of a promotion. If several stages failed, the first is shown."""
        stage = next((stage for stage in promotion.stages if stage.status is StageStatus.FAILED), None)
        step = _failed_step(stage) if stage is not None else None
        failure = step.failure if step is not None else None
        why_not = why_not_retried(self._lane(promotion.lane), promotion)
        going_on = "it resumes from what failed or was undone, and each step first checks whether its effect exists"
        return Failure(
            id=promotion.id,
            kind=failure.kind if failure else FailureKind.TIMEOUT,
            reason=promotion.reason,
            tried=stage.attempt if stage else 1,
            at=promotion.updated,
            replay=Judgement(why_not is None, why_not or going_on),
            queue=steps_queue(step.plan.environment) if step else None,
            lane=promotion.lane,
            promotion=promotion.id,
            stage=stage.name if stage else None,
            step=step.plan.name if step else None,
            environment=step.plan.environment if step else None,
            diagnosis=failure.diagnosis if failure else "",
        )

    def of_dead_letter(self, letter: DeadLetter) -> Failure:
        """The failure of a dead letter."""
        failure = Failure(
            id=f"{letter.queue}:{letter.number}",
            kind=FailureKind.TIMEOUT if letter.reason == _EXPIRED else FailureKind.BUG,
            reason=_reason(letter),
            tried=letter.deliveries,
            at=letter.enqueued,
            replay=Judgement(False, ""),
            queue=letter.queue,
            environment=environment_of(letter.queue),
            dead_letter=letter,
        )
        try:
            return self._of_body(failure, letter)
        except Exception as fault:
            # Failing here would hide all other letters, and prevent people from discarding this one.
            log.exception("cannot judge dead letter %s", failure.id)
            why = f"a bug in this app prevented a verdict ({type(fault).__name__}): see its log for the traceback"
            return replace(failure, replay=Judgement(False, why))

    def _of_body(self, failure: Failure, letter: DeadLetter) -> Failure:
        registry = catching_up.reports_registry(self._configuration, environment_of(letter.queue) or "")
        try:
            message = incoming.read(letter.queue, letter.body, self._workspace_of, registry)
        except incoming.MisplacedError as fault:
            return replace(_about(failure, fault.message), replay=_misplaced(str(fault)))
        except UndecodableError as fault:
            why = f"it cannot be read: {fault}. To discard it: mlpromote failures discard {failure.id}"
            return replace(failure, replay=Judgement(False, why))
        return self._of_message(_about(failure, message), message)

    def _of_message(self, failure: Failure, message: Command | Event) -> Failure:
        match message:
            case RunStep():
                return replace(failure, replay=self._judge_command(message))
            case FindRegistrations():
                return replace(failure, replay=Judgement(True, "it only looks for registrations again"))
            case StepReported():
                return replace(failure, replay=self._judge_report(message))
        return self._of_news(failure, message)

    def _workspace_of(self, environment: str) -> "WorkspaceReference":
        return self._configuration.environments[environment].workspace

    def _judge_command(self, command: RunStep) -> Judgement:
        if command.expired(self._now):
            return Judgement(True, f"the command expired at {command.not_after:%Y-%m-%d %H:%M} UTC: it does nothing")
        lane = self._lane(command.lane, command.promotion)
        if command.message_id in {each.message_id for each in due(lane)}:
            return Judgement(True, "the promotion waits for it, and the step first checks whether its effect exists")
        if _only_adds(lane, command):
            stale = "the promotion has moved on: its report changes nothing, and an unwanted effect is undone"
            return Judgement(True, stale)
        why = f"the promotion has moved on, and {command.step} would remove what came later"
        return Judgement(False, f"the promotion is superseded: {why}")

    def _judge_report(self, report: StepReported) -> Judgement:
        decision = decide(self._lane(report.lane, report.promotion), report, self._now)
        if decision.disbelieved:
            return _misplaced(decision.disbelieved)
        if decision.repeated:
            return Judgement(True, "nothing waits for this report any longer: it changes nothing")
        return Judgement(True, "the promotion waits for this report")

    def _of_news(self, failure: Failure, news: News) -> Failure:
        environment = self._configuration.environment_of(news.workspace)
        requests = list(routing.requests(news, self._configuration, self._now))
        found = replace(
            failure,
            environment=environment.name if environment else None,
            lane=requests[0].lane if requests else None,
            promotion=requests[0].promotion.id if len(requests) == 1 else None,
        )
        if not requests:
            return replace(found, replay=Judgement(True, "no route takes it, so it would do nothing"))
        judged = [self._judge_request(request) for request in requests]
        # If several routes take it, each is judged separately.
        unsafe = all(not one.safe for one in judged)
        return replace(found, replay=Judgement(not unsafe, "; ".join(dict.fromkeys(one.why for one in judged))))

    def _judge_request(self, request: PromotionRequested) -> Judgement:
        named = request.promotion.id
        decision = decide(self._lane(request.lane, named), request, self._now)
        if decision.repeated:
            return Judgement(True, f"promotion {named} was already started from it: it changes nothing")
        after = decision.lane.promotion(named)
        if after is not None and after.status is PromotionStatus.SUPERSEDED:
            return Judgement(False, f"the promotion is superseded: {after.reason}")
        return Judgement(True, f"promotion {named} would start from it")

    def _lane(self, key: LaneKey, promotion: str | None = None) -> Lane:
        """The lane with all promotions under way, and the named one."""
        if (key, promotion) not in self._lanes:
            self._lanes[key, promotion] = self._store.load(key, promotion)[0]
        return self._lanes[key, promotion]


def _failed_step(stage: StageRun) -> StepRun | None:
    """The step at which the stage failed, or the one that could not be undone if the stage should have ended
    otherwise."""
    forwards = stage.ends_as is StageStatus.FAILED
    walk = (*stage.steps, *stage.undoing) if forwards else (*stage.undoing, *stage.steps)
    return next((step for step in walk if step.failure is not None), None)


def _only_adds(lane: Lane, command: RunStep) -> bool:
    """Whether the step neither moves traffic nor removes anything. False if the step is unknown."""
    promotion = lane.promotion(command.promotion)
    stage = promotion.stage(command.stage) if promotion is not None else None
    plans = [step.plan for step in stage.steps] if stage is not None else []
    return any(plan.name == command.step and plan.only_adds for plan in plans)


def _about(failure: Failure, message: Command | Event) -> Failure:
    """The failure with the step of its command or report filled in."""
    if not isinstance(message, RunStep | StepReported):
        return failure
    return replace(failure, lane=message.lane, promotion=message.promotion, stage=message.stage, step=message.step)


def _misplaced(why: str) -> Judgement:
    return Judgement(False, f"it is in the wrong queue: {why}")


def _reason(letter: DeadLetter) -> str:
    if letter.reason == _DELIVERED_TOO_OFTEN:
        return (
            f"Each of {letter.deliveries} deliveries failed or crashed the app: see its log for "
            f"message {letter.message_id}."
        )
    if letter.reason == _EXPIRED:
        return f"Message {letter.message_id} was not received before its time to live expired."
    said = ": ".join(filter(None, (letter.reason, letter.description))) or "no reason was given"
    return f"Message {letter.message_id} was dead-lettered: {said}."
