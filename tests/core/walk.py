"""A walk over every world that can be reached by delivering, repeating and losing messages.

At each state every message may be handled in full, handled by a process that dies between any two lines, or delivered
twice; a worker may pause as long as its command is valid and act then; what is being deleted may be gone; operators may
hold and release; and time may pass.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core.commands import due
from shared.core.events import Cancelled, KeepingEnded, NotNowError, PromotionRequested, RolledBack, TimePassed
from shared.core.holds import NO_HOLDS, Holds
from shared.core.lane import decide
from shared.core.messages import FIRST_LATE_POLL, GRACE, NotRun, Outcome, RunStep, StepReported
from shared.core.promotion import Lane, PromotionStatus, StageStatus, StepStatus
from tests.core.memory import Memory, Message, name_of
from tests.core.world import KEY, NOW, WAIT, Azure, Change, answer


@dataclass(frozen=True)
class Held:
    """A worker that has read what it acts on, and has not made its change yet."""

    command: RunStep
    change: Change


@dataclass(frozen=True)
class World:
    lane: Lane  #: as the memory knows it
    queue: Mapping[str, Message]  #: by message id; what a worker has started is not accepted a second time
    azure: Azure
    faults: int  #: crashes, doubled deliveries, pauses of workers and waits that may still happen
    delivered: frozenset[str] = frozenset()  #: ids of commands that a worker has started
    held: tuple[Held, ...] = ()
    waits: int = 0  #: how often `GRACE` has passed
    holds: Holds = NO_HOLDS
    changes: tuple[Holds, ...] = ()  #: what operators will still make of the holds, one after the other
    memory: Memory = field(default_factory=Memory, repr=False)  #: of the walk

    @property
    def now(self) -> datetime:
        return NOW + self.waits * GRACE

    def seen(self) -> object:
        """What makes two worlds equal for the walk."""
        lane = self.memory.place(self.lane, self.now)
        held = tuple((each.command.message_id, each.change) for each in self.held)
        again = frozenset(self.queue) & self.delivered
        people = (self.holds, len(self.changes))
        return lane, frozenset(self.queue), again, held, self.waits, self.azure.endpoints, self.faults, people


def by_id(*messages: Message) -> dict[str, Message]:
    return {name_of(message): message for message in messages}


def successors(world: World) -> Iterator[World]:
    """All worlds that one more event can turn this one into."""
    for name, message in world.queue.items():
        rest = {other: queued for other, queued in world.queue.items() if other != name}
        if isinstance(message, RunStep):
            yield from _run(world, message, rest)
        else:
            yield from _decide(world, message, rest)
    for each in world.held:
        yield _act_at_last(world, each)
    if world.azure.settled() != world.azure:
        yield replace(world, azure=world.azure.settled())
    if world.changes:
        yield from _change_holds(world)
    if _waits_for_time(world):
        yield _let_time_pass(world)


def _run(world: World, command: RunStep, rest: Mapping[str, Message]) -> Iterator[World]:
    name = command.message_id
    begun = replace(world, queue=rest, delivered=world.delivered | {name})
    if name in world.delivered or command.expired(world.now):
        yield replace(begun, queue={**rest, **by_id(answer(command, NotRun("again, or too late")))})
        return
    intended = world.azure.intend(command)
    if intended == WAIT and not _must_answer(world, command):
        return  # it waits for something else to happen
    change = None if isinstance(intended, Outcome) else intended
    azure, outcome = world.azure.run(command)
    report = answer(command, outcome)
    yield replace(begun, azure=azure, queue={**rest, **by_id(report)})
    if world.faults:
        less = replace(begun, queue=world.queue, faults=world.faults - 1)
        yield replace(less, azure=azure)  # died after the effect, before the report
        # died after the report, before the command was completed
        yield replace(less, azure=azure, queue={**world.queue, **by_id(report)})
        if change is not None:  # pauses before the change, and the queue delivers the command again
            yield replace(less, held=(*world.held, Held(command, change)))


def _must_answer(world: World, command: RunStep) -> bool:
    """Whether the worker answers at once: nobody waits for its command, or its step is called off, so any answer will
    do."""
    stages = [
        s for p in world.lane.promotions if p.id == command.promotion for s in p.stages if s.name == command.stage
    ]
    nobody_waits = command.poll < FIRST_LATE_POLL and command not in due(world.lane)
    return nobody_waits or any((step := s.current) and s.has_called_off(step) for s in stages)


def _act_at_last(world: World, held: Held) -> World:
    """A worker continues after a pause. Its command is still valid, since the passing of time would have removed it."""
    azure, outcome = world.azure.make(held.command, held.change)
    report = by_id(answer(held.command, outcome))
    left = tuple(each for each in world.held if each is not held)
    return replace(world, azure=azure, held=left, queue={**world.queue, **report})


def _waits_for_time(world: World) -> bool:
    """Whether only time can move the lane on: an answer is lost, or an unanswered command has to expire."""
    on_its_way = any(
        isinstance(message, RunStep | StepReported | PromotionRequested) for message in world.queue.values()
    )
    at_work = any(each.under_way or any(s.current for s in each.stages) for each in world.lane.promotions)
    return not on_its_way and not world.changes and at_work and world.waits < MOST_WAITS


#: One for a lost answer, one for each command that was never answered.
MOST_WAITS = 2


def _let_time_pass(world: World) -> World:
    """Whatever a paused worker was doing is over by then: a change takes no longer (see `GRACE`)."""
    later = replace(world, waits=world.waits + 1, held=())
    return _wake(later)


def _wake(world: World) -> World:
    decision = decide(world.lane, TimePassed(KEY), world.now, world.holds)
    return replace(world, lane=decision.lane, queue={**world.queue, **by_id(*decision.commands)})


def _change_holds(world: World) -> Iterator[World]:
    """The holds are saved first, and then the lane is woken, unless the process dies in between."""
    saved = replace(world, holds=world.changes[0], changes=world.changes[1:])
    yield _wake(saved)
    if world.faults:
        yield replace(saved, faults=world.faults - 1)


def _decide(
    world: World,
    event: StepReported | PromotionRequested | RolledBack | Cancelled | KeepingEnded,
    rest: Mapping[str, Message],
) -> Iterator[World]:
    try:
        decision = world.memory.decide(world.lane, event, world.now, world.holds)
    except NotNowError:
        if not any(promotion.under_way for promotion in world.lane.promotions) and not world.held:
            yield replace(world, queue=rest)  # it came too late
        return
    commands = by_id(*(each for each in decision.commands if each.message_id not in world.delivered))
    sent = replace(world, lane=decision.lane, queue={**rest, **commands})
    yield sent
    if world.faults:  # died before the save changes nothing: the same as no crash
        less = world.faults - 1
        yield replace(sent, queue=world.queue, faults=less)  # died after the save, before the sending
        yield replace(
            sent, queue={**world.queue, **dict(list(commands.items())[:1])}, faults=less
        )  # … in the middle of it
        yield replace(sent, queue={**world.queue, **commands}, faults=less)  # … after it


def walk(start: World, most: int = 400_000) -> Iterator[World]:
    """Every reachable world, once."""
    found = {start.seen()}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        yield world
        following_worlds = list(successors(world))
        assert following_worlds or not (world.queue or world.held or world.changes), (
            "stuck: messages wait for each other"
        )
        for following in following_worlds:
            key = following.seen()
            if key not in found:
                found.add(key)
                assert len(found) < most, "the walk does not end"
                waiting.append(following)


def check(world: World) -> None:
    """What must hold in every world, whatever happens."""
    in_stage: dict[str, int] = {}
    for promotion in world.lane.promotions:
        for stage in promotion.stages:
            occupied = stage.status in (StageStatus.RUNNING, StageStatus.UNDOING)
            in_stage[stage.name] = in_stage.get(stage.name, 0) + occupied
            running = [s for s in (*stage.steps, *stage.undoing) if s.status is StepStatus.RUNNING]
            assert len(running) <= 1
            if stage.status is StageStatus.SUCCEEDED:
                assert stage.name in world.lane.champions
    assert all(count <= 1 for count in in_stage.values()), "two promotions in one stage"
    for stage_name, champion in world.lane.champions.items():
        endpoint = world.azure.endpoint(stage_name)
        assert champion.promotion in endpoint.deployments, "the champion is not there"
        assert endpoint.traffic is not None, "a stage that had a champion has no deployment that answers"
        assert endpoint.serving <= endpoint.ready, "some of the traffic goes to a deployment that does not answer"


def check_end(world: World) -> None:
    """What must hold once nothing is in flight any more."""
    assert due(world.lane) == (), "stuck: something is due and nothing is in flight"
    assert all(not promotion.under_way for promotion in world.lane.promotions)
    for stage_name, champion in world.lane.champions.items():
        endpoint = world.azure.endpoint(stage_name)
        assert endpoint.serving == {champion.promotion}
        assert endpoint.deployments == {champion.promotion, *kept(world, stage_name)}, "one deployment and no more"


def kept(world: World, name: str) -> Iterator[str]:
    """What a promotion keeps in the stage although it has replaced it."""
    for promotion in world.lane.promotions:
        stage = promotion.stage(name)
        if stage is not None and stage.kept_until is not None and stage.predecessor is not None:
            yield stage.predecessor.promotion


def is_over(world: World) -> bool:
    at_rest = not (world.queue or world.held or world.changes)
    return at_rest and world.azure.settled() == world.azure and not _waits_for_time(world)


def explore(start: World) -> tuple[set[tuple[PromotionStatus, ...]], int]:
    """The reachable ends, as statuses of the promotions in the order of versions, and the number of worlds."""
    ends, count = set(), 0
    for world in walk(start):
        check(world)
        count += 1
        if is_over(world):
            check_end(world)
            ordered = sorted(world.lane.promotions, key=lambda known: known.candidate.version)
            ends.add(tuple(known.status for known in ordered))
    return ends, count


def start(
    *requests: PromotionRequested | RolledBack | Cancelled | KeepingEnded,
    lane: Lane | None = None,
    azure: Azure | None = None,
    faults: int = 1,
    changes: tuple[Holds, ...] = (),
) -> World:
    return World(lane or Lane(KEY), by_id(*requests), azure or Azure(), faults, changes=changes)
