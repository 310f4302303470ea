"""Random histories of registrations, deliveries, crashes, failures, people, holds, replays and time, against what must
hold.

What happens is drawn step by step; in the end everything is delivered, and nothing may be stuck.
"""

import os
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.core.events import (
    Abandoned,
    Approved,
    Cancelled,
    KeepingEnded,
    LaneEvent,
    NotAllowedError,
    NotNowError,
    Person,
    PromotionRequested,
    Rejected,
    Released,
    Replayed,
    Retried,
    RolledBack,
    TimePassed,
)
from shared.core.holds import NO_HOLDS, Scope, hold
from shared.core.lane import Decision, decide, due, wake_at
from shared.core.messages import GRACE, Failed, FailureKind, Kind, NotRun, Outcome, RunStep, StepReported
from shared.core.plan import KINDS
from shared.core.precedence import is_newer
from shared.core.promotion import (
    SOMEBODY,
    STAGE_OCCUPIED,
    Lane,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepStatus,
)
from shared.core.window import Window
from tests.core.patient import patient
from tests.core.world import (
    BROKEN,
    BY_HAND,
    KEY,
    NOW,
    REFUSED,
    ROLLING,
    Add,
    Azure,
    Change,
    Delete,
    GiveTraffic,
    answer,
)

STAGES = ("test", "prod")
#: What a stage with a batch endpoint asks for.
BATCH = ("batch_endpoint", "test", "keep")
PEOPLE = tuple(
    Person(name, name, roles)
    for name, roles in {
        "alice": ("Promotion.Operator",),
        "bob": ("Promotion.Approver",),
        "carol": ("Promotion.Approver", "Promotion.Operator"),
        "mallory": (),
    }.items()
)
OPERATORS = [each for each in PEOPLE if "Promotion.Operator" in each.roles]
MOST_DELIVERIES = 3000
MOST_UNTIL_UNDONE = 500
SOAK = timedelta(minutes=30)
#: Closes an hour after `NOW`.
WINDOW = Window((0, 1, 2, 3, 4), 10 * 60, 14 * 60, "Europe/Berlin")
SCOPES = (Scope(), Scope(KEY.route), Scope(KEY.route, KEY.model), Scope(KEY.route, "", "prod"))
MISSING = Failed("there is no such version", FailureKind.NOT_FOUND)
Message = RunStep | StepReported | PromotionRequested


class Histories(RuleBasedStateMachine):
    """One lane, its messages, its endpoints and a clock. Duplicate detection forgets after an hour."""

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

    # --- what can happen ---

    @rule(
        failing=st.sampled_from(
            [None, None, "validate", "deploy", "smoke", "invoke", "rollout-2", "shift", "watch", "retire"]
        ),
        asks=st.booleans(),
        moves=st.sampled_from([(), ROLLING, BATCH]),
        breaches=st.booleans(),
        soaks=st.sampled_from([False, False, True]),
        has_window=st.sampled_from([False, False, True]),
    )
    @precondition(lambda self: self.versions < 5)
    def a_version_is_registered(
        self, failing: str | None, asks: bool, moves: tuple[str, ...], breaches: bool, soaks: bool, has_window: bool
    ) -> None:
        self.versions += 1
        asked = (*(("approval",) if asks else ()), *moves)
        soak, windows = (SOAK if soaks else timedelta(0)), ((WINDOW,) if has_window else ())
        event = patient(str(self.versions), soak, windows, asked=asked)
        if failing in ("rollout-2", "watch") and breaches:  # it moves the traffic first, and then sees that it is bad
            bad = {(str(self.versions), stage, failing): REFUSED for stage in STAGES}
            self.azure = replace(self.azure, breaching={**self.azure.breaching, **bad})
            failing = None
        if failing:
            why = REFUSED if failing == "validate" else BROKEN
            broken = {(str(self.versions), stage, failing): why for stage in STAGES}
            self.azure = replace(self.azure, failing={**self.azure.failing, **broken})
        self.messages.append(event)

    @rule(exists=st.booleans(), signed_in=st.booleans(), older=st.booleans())
    @precondition(lambda self: self.versions < 5)
    def a_person_starts_a_version(self, exists: bool, signed_in: bool, older: bool) -> None:
        """Of a number that comes before or after all that are registered."""
        self.versions += 1
        version = str(self.versions if older else 90 + self.versions)
        if not exists:
            self.missing.add(version)
            gone = {(version, stage, "share"): MISSING for stage in STAGES}
            self.azure = replace(self.azure, failing={**self.azure.failing, **gone})
        event = patient(version)
        by, requester = ("alice", "id-of-alice") if signed_in else (SOMEBODY, "")
        asked = replace(event.promotion, requested_by=by, requester=requester)
        self.messages.append(replace(event, promotion=asked, automatic=False))

    @rule(
        pick=st.integers(0, 1000), fate=st.sampled_from(["well", "well", "well", "crash early", "crash late", "twice"])
    )
    @precondition(lambda self: self.messages)
    def a_message_is_delivered(self, pick: int, fate: str) -> None:
        self.deliver(self.messages[pick % len(self.messages)], fate)

    @rule(count=st.integers(2, 30), fate=st.sampled_from(["well", "well", "buried"]))
    @precondition(lambda self: self.messages)
    def all_goes_well_for_a_while(self, count: int, fate: str) -> None:
        for _ in range(count):
            if self.messages:
                self.deliver(self.messages[0], fate)

    @rule(
        pick=st.integers(0, 1000),
        who=st.sampled_from(PEOPLE),
        kind=st.sampled_from([Approved, Approved, Rejected, Cancelled, RolledBack, Abandoned, Retried]),
        crash=st.booleans(),
    )
    @precondition(lambda self: self.lane.promotions)
    def a_person_asks(
        self,
        pick: int,
        who: Person,
        kind: type[Approved | Rejected | Cancelled | RolledBack | Abandoned | Retried],
        crash: bool,
    ) -> None:
        if kind not in (Approved, Rejected) and who not in OPERATORS:
            return  # the HTTP API refuses everybody else
        promotion = self.lane.promotions[pick % len(self.lane.promotions)]
        self.ask(kind(KEY, promotion.id, who, f"reason {len(self.answered)}"), crash)

    @rule(stage=st.sampled_from(STAGES))
    def what_serves_is_rolled_back(self, stage: str) -> None:
        if stage in self.lane.champions:
            serving = self.lane.champions[stage].promotion
            self.ask(RolledBack(KEY, serving, PEOPLE[0], f"reason {len(self.answered)}", stage), crash=False)

    @rule(pick=st.integers(0, 1000))
    def what_failed_is_tried_again(self, pick: int) -> None:
        failed = [promotion for promotion in self.lane.promotions if promotion.status is PromotionStatus.FAILED]
        if failed:
            again = failed[pick % len(failed)]
            version = again.candidate.version
            mended = {key: why for key, why in self.azure.failing.items() if key[0] != version}
            self.azure = replace(self.azure, failing=mended)
            self.missing.discard(version)
            self.ask(Retried(KEY, again.id, PEOPLE[0], f"reason {len(self.answered)}"), crash=False)

    @rule(pick=st.integers(0, 1000))
    @precondition(lambda self: self.messages)
    def a_queue_gives_a_message_up(self, pick: int) -> None:
        """The app died at each delivery: the message had no effect, or everything happened except its completion."""
        message = self.messages.pop(pick % len(self.messages))
        if isinstance(message, RunStep) and pick % 2 and not message.expired(self.now):
            self.azure, _ = self.azure.run(message)
        self.dead.append(message)

    @rule(pick=st.integers(0, 1000), who=st.sampled_from(OPERATORS), crash=st.sampled_from(["", "before", "between"]))
    @precondition(lambda self: self.dead)
    def a_person_replays_a_dead_letter(self, pick: int, who: Person, crash: str) -> None:
        """As in `failures/replay.py`: noted first, then moved as a copy that is sent before the original is removed."""
        letter = self.dead[pick % len(self.dead)]
        if not self.may_be_replayed(letter):
            return
        known = self.lane.promotion(letter.promotion.id if isinstance(letter, PromotionRequested) else letter.promotion)
        if known is not None:
            self.decide(TimePassed(KEY))  # any decision lets in what a hold has kept out until now
            before, answered = self.lane, len(self.answered)
            self.ask(Replayed(KEY, known.id, who, f"reason {answered}", what="a dead letter"), crash=False)
            assert (self.lane.champions, self.lane.holds) == (before.champions, before.holds)
            assert [each.stages for each in self.lane.promotions] == [each.stages for each in before.promotions]
            if len(self.answered) == answered:
                return
        if crash == "before":
            return
        self.messages.append(replace(letter))  # a copy: the count of its deliveries starts again at 1
        if crash != "between":
            self.dead.remove(letter)

    @rule(pick=st.integers(0, 1000), who=st.sampled_from(OPERATORS))
    @precondition(lambda self: self.lane.promotions)
    def a_person_ends_what_is_kept(self, pick: int, who: Person) -> None:
        promotion = self.lane.promotions[pick % len(self.lane.promotions)]
        self.ask(KeepingEnded(KEY, promotion.id, who, f"reason {len(self.answered)}"), crash=False)

    @rule(stage=st.sampled_from(STAGES), pick=st.integers(0, 1000))
    def a_person_moves_traffic_by_hand(self, stage: str, pick: int) -> None:
        endpoint = self.azure.endpoint(stage)
        others = sorted(endpoint.ready - {endpoint.traffic})
        if endpoint.traffic in endpoint.ready and others:
            moved = replace(endpoint, part=(others[pick % len(others)], BY_HAND))
            self.azure = self.azure.with_endpoint(stage, moved)

    @rule(stage=st.sampled_from(STAGES), who=st.sampled_from(OPERATORS))
    def a_hold_is_released(self, stage: str, who: Person) -> None:
        self.ask(Released(KEY, stage, who, f"reason {len(self.answered)}"), crash=False)

    @rule(
        scope=st.sampled_from(SCOPES),
        until=st.sampled_from([None, timedelta(minutes=7), timedelta(hours=30)]),
        tell=st.booleans(),
    )
    def an_operator_holds(self, scope: Scope, until: timedelta | None, tell: bool) -> None:
        end = self.now + until if until else None
        self.holds = hold(self.holds, scope, OPERATORS[0], "audit", end, self.now)
        if tell:  # the process did not die before that
            self.decide(TimePassed(KEY))

    @rule(scope=st.sampled_from(SCOPES), tell=st.booleans())
    def an_operator_releases(self, scope: Scope, tell: bool) -> None:
        left = tuple(each for each in self.holds.holds if each.scope != scope)
        self.holds = replace(self.holds, holds=left)
        if tell:
            self.decide(TimePassed(KEY))

    @rule()
    def azure_ends_what_it_was_doing(self) -> None:
        self.azure = self.azure.settled()

    @rule(pick=st.integers(0, 1000))
    @precondition(lambda self: any(self.may_begin(message) for message in self.messages))
    def a_worker_stands_still_before_its_change(self, pick: int) -> None:
        """Its message is delivered to another worker meanwhile."""
        commands = [each for each in self.messages if isinstance(each, RunStep) and self.may_begin(each)]
        command = commands[pick % len(commands)]
        intended = self.azure.intend(command)
        self.begun.append(command)
        if isinstance(intended, Add | Delete | GiveTraffic):
            self.held.append((command, intended))

    @rule(pick=st.integers(0, 1000))
    @precondition(lambda self: self.held)
    def a_worker_that_stood_still_goes_on(self, pick: int) -> None:
        command, change = self.held.pop(pick % len(self.held))
        self.azure, outcome = self.azure.make(command, change)
        self.messages.append(answer(command, outcome))

    @rule(minutes=st.sampled_from([1, 6, 60, 5000]))
    def time_passes(self, minutes: int) -> None:
        self.let_pass(self.now + timedelta(minutes=minutes))
        if minutes >= 60:
            self.seen.clear()
        self.decide(TimePassed(KEY))

    # --- how it happens ---

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

    # --- what must hold ---

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

    @invariant()
    def one_promotion_runs_in_a_stage(self) -> None:
        for name in STAGES:
            inside = [p for p in self.lane.promotions if (s := p.stage(name)) and s.status is StageStatus.RUNNING]
            assert len(inside) <= 1

    @invariant()
    def the_champion_is_there(self) -> None:
        """Unless it was replaced and the news is still under way."""
        pending = [each for each in self.messages if isinstance(each, RunStep | StepReported)]
        news = {(each.promotion, each.stage) for each in pending if each.step == "restore"}
        for stage, champion in self.lane.champions.items():
            there = champion.promotion in self.azure.endpoint(stage).deployments
            assert there or (champion.promotion, stage) in news

    @invariant()
    def nothing_is_brought_back_while_somebody_else_serves(self) -> None:
        for command in due(self.lane):
            champion, before = self.lane.champions.get(command.stage), command.champion
            if command.step == "reinstate" and champion is not None:
                assert champion.promotion in (command.promotion, before.promotion if before else None)

    @invariant()
    def traffic_goes_to_a_deployment_that_is_there(self) -> None:
        for stage in STAGES:
            endpoint = self.azure.endpoint(stage)
            assert endpoint.serving <= endpoint.ready, "some of the traffic is not answered"
            assert endpoint.traffic is not None or stage not in self.lane.champions, "nothing answers"

    @invariant()
    def only_known_people_were_obeyed(self) -> None:
        assert all(name != "mallory" for name, _ in self.answered)

    def teardown(self) -> None:
        """Deliver everything, and let time pass when nothing else can happen: everything must end."""
        self.undo_although_held()
        self.holds = NO_HOLDS
        for _ in range(MOST_DELIVERIES):
            self.azure = self.azure.settled()
            if self.messages:
                self.deliver(self.messages[0])
            elif (until := wake_at(self.lane)) is not None:
                self.let_pass(until)
                self.decide(TimePassed(KEY))
            else:
                break
        assert not self.messages
        assert due(self.lane) == ()
        for promotion in self.lane.promotions:
            self.has_ended_without_contradiction(promotion)
        for name, reason in self.answered:
            assert any(text.startswith(f"{name}: {reason}") or f"{name}: {reason}" in text for text in self.journal)

        self.champions_have_the_traffic()

    def undo_although_held(self) -> None:
        """What is being undone comes to its end, whatever is held."""
        for _ in range(MOST_UNTIL_UNDONE):
            stages = [stage for promotion in self.lane.under_way() for stage in promotion.stages]
            if all(stage.status is not StageStatus.UNDOING for stage in stages):
                return
            self.azure = self.azure.settled()
            if self.messages:
                self.deliver(self.messages[0])
                continue
            until = wake_at(self.lane)
            assert until is not None
            self.let_pass(until)
            self.decide(TimePassed(KEY))
        raise AssertionError("a hold keeps something from being undone")

    def champions_have_the_traffic(self) -> None:
        """Unless something could not be undone, which the promotion says."""
        stages = [stage for promotion in self.lane.promotions for stage in promotion.stages]
        left = {stage.name for stage in stages if any(step.failure for step in stage.undoing)}
        for name in set(STAGES) - left:
            champion = self.lane.champions.get(name)
            assert self.azure.endpoint(name).traffic == (champion.promotion if champion else None)

    def has_ended_without_contradiction(self, promotion: Promotion) -> None:
        assert not promotion.under_way, f"{promotion.id} hangs"
        serves = {stage for stage, champion in self.lane.champions.items() if champion.promotion == promotion.id}
        for stage in promotion.stages:
            assert stage.status not in STAGE_OCCUPIED
            if stage.status in (StageStatus.CANCELLED, StageStatus.REFUSED, StageStatus.REJECTED):
                assert stage.name not in serves
        if promotion.candidate.version in self.missing:
            assert not serves
            assert promotion.status is not PromotionStatus.SUCCEEDED
        if promotion.status is PromotionStatus.SUCCEEDED:
            assert all(stage.status is StageStatus.SUCCEEDED for stage in promotion.stages)


class TestHistories(Histories.TestCase):  # type: ignore[misc,valid-type]  # hypothesis makes it when it is asked for
    """A failure shows its shortest history, step by step, and the seed that finds it again."""

    def runTest(self) -> None:  # noqa: N802 - as unittest calls it
        """Walk the histories of the seed."""
        try:
            super().runTest()
        except Exception as failure:
            failure.add_note(f"To see it again: HISTORIES_SEED={SEED} pytest {__file__}")
            raise


#: Each seed draws histories of its own, the same ones whenever and wherever it is walked.
SEED = int(os.environ.get("HISTORIES_SEED", "0"))
seed(SEED)(Histories)
TestHistories.settings = settings(
    max_examples=400,
    stateful_step_count=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# It takes 15 seconds on an idle machine. A time limit that a busy one reaches would look like a stuck history.
TestHistories.pytestmark = [pytest.mark.timeout(1200)]
