"""A lane in the middle of its messages, its endpoints and a clock, to which things happen."""

from datetime import datetime, timedelta

from hypothesis.stateful import RuleBasedStateMachine

from shared.core.commands import due
from shared.core.events import (
    Abandoned,
    Approved,
    Cancelled,
    KeepingEnded,
    LaneEvent,
    NotAllowedError,
    NotNowError,
    PromotionRequested,
    Rejected,
    Released,
    Replayed,
    Retried,
    RolledBack,
)
from shared.core.holds import NO_HOLDS
from shared.core.lane import Decision, decide
from shared.core.messages import GRACE, Kind, NotRun, Outcome, RunStep, StepReported
from shared.core.plan import KINDS
from shared.core.precedence import is_newer
from shared.core.promotion import Lane, Promotion, StageRun, StageStatus, StepStatus
from shared.core.window import Window
from tests.core.world import KEY, NOW, Azure, Change, answer

SOAK = timedelta(minutes=30)
#: Closes an hour after `NOW`.
WINDOW = Window((0, 1, 2, 3, 4), 10 * 60, 14 * 60, "Europe/Berlin")
Message = RunStep | StepReported | PromotionRequested


class OneLane(RuleBasedStateMachine):
    """Duplicate detection forgets after an hour. What is decided too early fails at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane(KEY)
        self.holds = NO_HOLDS
        self.azure = Azure()
        self.messages: list[Message] = []
        self.dead: list[Message] = []  #: dead letters
        self.begun: list[Message] = []  #: commands, by identity, that a worker has started: no later delivery runs
        self.held: list[tuple[RunStep, Change]] = []  #: workers that pause between reading and changing
        self.seen: set[str] = set()  #: ids of commands that the broker remembers
        self.now = NOW
        self.versions = 0
        self.missing: set[str] = set()  #: versions that do not exist
        self.answered: list[tuple[str, str]] = []  #: person and reason of every accepted request
        self.journal: list[str] = []

    def may_be_replayed(self, letter: Message) -> bool:
        """A command that moves traffic or removes something is valid only while its promotion waits for it."""
        if not isinstance(letter, RunStep) or letter.expired(self.now):
            return True
        if letter.message_id in {command.message_id for command in due(self.lane)}:
            return True
        plans = {step.name: step for step in KINDS[Kind.MODEL].plan}
        return letter.runs in plans and plans[letter.runs].only_adds

    def may_begin(self, message: Message) -> bool:
        if not isinstance(message, RunStep) or any(message is each for each in self.begun):
            return False
        return message.not_before <= self.now and not message.expired(self.now)

    def let_pass(self, until: datetime) -> None:
        """A change takes no longer than `GRACE`, so any pause is over by then."""
        self.now = max(self.now, until)
        self.held = [each for each in self.held if self.now < each[0].not_before + GRACE]

    def deliver(self, message: Message, fate: str = "well") -> None:
        if fate != "twice":
            self.messages.remove(message)
        if fate == "buried":  # it could never be completed: both its effect and its dead letter exist
            self.dead.append(message)
        if isinstance(message, RunStep):
            self.let_pass(message.not_before)
            outcome: Outcome = NotRun("again, or too late")
            if self.may_begin(message):
                self.azure, outcome = self.azure.run(message)
                self.begun.append(message)
            if fate == "crash early":
                self.messages.append(message)
            else:
                self.messages.append(answer(message, outcome))
            if fate == "crash late":
                self.messages.append(message)
            return
        sent = self.decide(message)
        if fate in ("crash early", "crash late"):
            self.messages.append(message)
        if fate == "crash early":
            self.unsend(sent)

    def unsend(self, sent: list[RunStep]) -> None:
        """The process died before it sent them."""
        for command in sent:
            self.messages.remove(command)
            self.seen.remove(command.message_id)

    def decide(self, event: LaneEvent) -> list[RunStep]:
        decision = decide(self.lane, event, self.now, self.holds)
        self.nothing_begins_too_early(decision)
        self.only_what_exists_supersedes(decision)
        self.lane = decision.lane
        self.journal += [entry.text for entry in decision.journal]
        sent = [command for command in decision.commands if command.message_id not in self.seen]
        self.seen |= {command.message_id for command in sent}
        self.messages += sent
        return sent

    def ask(
        self,
        event: Approved | Rejected | Cancelled | RolledBack | Abandoned | Retried | Released | Replayed | KeepingEnded,
        crash: bool,
    ) -> None:
        before = self.lane
        try:
            sent = self.decide(event)
        except (NotNowError, NotAllowedError):
            assert self.lane is before
            return
        if self.lane is not before:
            self.answered.append((event.by.name, event.reason))
        if crash:  # only time repairs that
            self.unsend(sent)

    def nothing_begins_too_early(self, decision: Decision) -> None:
        """No promotion enters a held stage, and no step begins before its time."""
        for promotion in decision.lane.under_way():
            before = self.lane.promotion(promotion.id)
            for stage in promotion.stages:
                known = before.stage(stage.name) if before else None
                if stage.status is StageStatus.RUNNING and (known is None or known.status is not StageStatus.RUNNING):
                    assert self.holds.on(KEY.route, KEY.model, stage.name, self.now) is None
                    assert stage.name not in self.lane.holds or stage.name not in decision.lane.holds
                if stage.status is StageStatus.RUNNING:
                    self.has_waited(promotion, stage, known)

    def only_what_exists_supersedes(self, decision: Decision) -> None:
        """A promotion is superseded only if there is another one of a version that exists and is not older."""
        for promotion in decision.lane.promotions:
            known = self.lane.promotion(promotion.id)
            before = {stage.name: stage.status for stage in known.stages} if known else {}
            superseded = [stage for stage in promotion.stages if stage.status is StageStatus.SUPERSEDED]
            if all(before.get(stage.name) is StageStatus.SUPERSEDED for stage in superseded):
                continue
            others = [each.candidate.version for each in decision.lane.promotions if each.id != promotion.id]
            newer = [each for each in others if not is_newer(promotion.candidate.version, each)]
            assert set(newer) - self.missing, f"{promotion.candidate.version} is superseded by {newer}"

    def has_waited(self, promotion: Promotion, stage: StageRun, known: StageRun | None) -> None:
        for step in stage.steps:
            new = known is None or step not in known.steps
            if new and step.plan.in_window and step.status is StepStatus.RUNNING and step.poll == 1 and stage.windows:
                assert WINDOW.is_open(self.now)
            if new and step.plan.name == "soak" and step.status is StepStatus.SUCCEEDED:
                first = promotion.stage("test")
                assert first is not None
                assert first.status is StageStatus.SUCCEEDED
                served = next(each.ended for each in first.steps if each.plan.crowns)
                assert served is not None
                assert self.now - served >= SOAK
