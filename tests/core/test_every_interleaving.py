"""Every order in which messages of promotions through two environments can be delivered, repeated, or cut by a crash.

A breadth-first walk over all states of the world: the saved lane, the messages in the queues, and Azure. At each state
every message may be handled in full, handled by a process that dies between any two lines, or delivered twice.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.core.lane import PromotionRequested, decide, due
from shared.core.late import FIRST_LATE_LOOK
from shared.core.messages import Failed, Retry, RunStep, StepReported
from shared.core.promotion import Lane, PromotionStatus, StageStatus, StepStatus
from tests.core.world import BROKEN, KEY, NOW, REFUSED, TEST_THEN_PROD, Azure, answer, drive, requested

TWO_REGIONS = {"west": (), "north": ()}
ONE_STAGE = {"test": ()}
Message = RunStep | StepReported | PromotionRequested


@dataclass(frozen=True)
class World:
    lane: Lane
    queue: Mapping[str, Message]  #: by message id; there is no duplicate detection here, which is the harder case
    azure: Azure
    faults: int  #: crashes and doubled deliveries that may still happen

    def seen(self) -> object:
        """What makes two worlds the same for the walk."""
        statuses = tuple(
            (p.id, p.status, tuple((s.status, _position(s.steps), _position(s.undoing)) for s in p.stages))
            for p in self.lane.promotions
        )
        champions = tuple(sorted((stage, champion.promotion) for stage, champion in self.lane.champions.items()))
        return statuses, champions, frozenset(self.queue), self.azure.endpoints, self.faults


def _position(steps: tuple[object, ...]) -> tuple[object, ...]:
    return tuple((getattr(step, "status", None), getattr(step, "look", None)) for step in steps)


def by_id(*messages: Message) -> dict[str, Message]:
    return {m.promotion.id if isinstance(m, PromotionRequested) else m.message_id: m for m in messages}


def successors(world: World) -> Iterator[World]:
    """All worlds that one more thing can make of this one."""
    for name, message in world.queue.items():
        rest = {other: queued for other, queued in world.queue.items() if other != name}
        yield from _run(world, message, rest) if isinstance(message, RunStep) else _decide(world, message, rest)


def _run(world: World, command: RunStep, rest: Mapping[str, Message]) -> Iterator[World]:
    azure, outcome = world.azure.run(command)
    if isinstance(outcome, Retry):
        if command.look < FIRST_LATE_LOOK and command not in due(world.lane):
            yield replace(world, queue=rest)  # nobody waits for its answer
        return  # it waits for something else to happen
    report = answer(command, outcome)
    yield replace(world, azure=azure, queue={**rest, **by_id(report)})
    if world.faults:
        less = replace(world, azure=azure, faults=world.faults - 1)
        yield less  # died after the effect, before the report
        yield replace(
            less, queue={**world.queue, **by_id(report)}
        )  # died after the report, before the command was completed


def _decide(world: World, event: StepReported | PromotionRequested, rest: Mapping[str, Message]) -> Iterator[World]:
    decision = decide(world.lane, event, NOW)
    sent = replace(world, lane=decision.lane, queue={**rest, **by_id(*decision.commands)})
    yield sent
    if world.faults:  # died before the save changes nothing: the same as no crash
        less = world.faults - 1
        yield replace(sent, queue=world.queue, faults=less)  # died after the save, before the sending
        yield replace(sent, queue={**world.queue, **by_id(*decision.commands[:1])}, faults=less)  # … in the midst of it
        yield replace(sent, queue={**world.queue, **by_id(*decision.commands)}, faults=less)  # … after it


def walk(start: World, most: int = 400_000) -> Iterator[World]:
    """Every reachable world, once."""
    found = {start.seen()}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        yield world
        following_worlds = list(successors(world))
        assert following_worlds or not world.queue, "stuck: messages wait for each other"
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
        assert endpoint.traffic in endpoint.deployments, "traffic goes to nobody"


def check_end(world: World) -> None:
    """What must hold where nothing is in flight any more."""
    assert due(world.lane) == (), "stuck: something is due and nothing is in flight"
    assert all(not promotion.under_way for promotion in world.lane.promotions)
    for stage_name, champion in world.lane.champions.items():
        endpoint = world.azure.endpoint(stage_name)
        assert endpoint.traffic == champion.promotion
        assert endpoint.deployments == {champion.promotion}, "one deployment and no more"


def explore(start: World) -> tuple[set[tuple[PromotionStatus, ...]], int]:
    """The ends that can be reached, as statuses of the promotions in the order of versions; and how many worlds."""
    ends, count = set(), 0
    for world in walk(start):
        check(world)
        count += 1
        if not world.queue:
            check_end(world)
            ordered = sorted(world.lane.promotions, key=lambda known: known.candidate.version)
            ends.add(tuple(known.status for known in ordered))
    return ends, count


def start(
    *requests: PromotionRequested, lane: Lane | None = None, azure: Azure | None = None, faults: int = 2
) -> World:
    return World(lane or Lane(KEY), by_id(*requests), azure or Azure(), faults)


def test_a_promotion_succeeds_whatever_is_delivered_twice_or_dies() -> None:
    ends, count = explore(start(requested(), faults=3))
    assert ends == {(PromotionStatus.SUCCEEDED,)}
    assert count > 100


def test_two_regions_side_by_side_succeed_whatever_is_delivered_twice_or_dies() -> None:
    ends, _ = explore(start(requested("1", TWO_REGIONS, ("deploy", "shift")), faults=1))
    assert ends == {(PromotionStatus.SUCCEEDED,)}


@pytest.mark.parametrize("failure", [REFUSED, BROKEN], ids=["refused", "broken"])
@pytest.mark.parametrize("stage", ["test", "prod"])
@pytest.mark.parametrize("step", ["validate", "deploy", "smoke", "shift", "retire"])
def test_a_challenger_that_fails_anywhere_ends_as_it_should_and_leaves_one_champion(
    stage: str, step: str, failure: Failed
) -> None:
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    world = start(requested("2"), lane=lane, azure=replace(azure, failing={("2", stage, step): failure}))
    if step == "retire":  # only tidies up: both deployments stay, and the new one is the champion
        ends = {tuple(p.status for p in w.lane.promotions) for w in walk(world) if not w.queue}
        assert ends == {(PromotionStatus.SUCCEEDED, PromotionStatus.SUCCEEDED)}
        return
    expected = PromotionStatus.REFUSED if failure is REFUSED else PromotionStatus.FAILED
    ends, _ = explore(world)
    assert ends == {(PromotionStatus.SUCCEEDED, expected)}


@pytest.mark.parametrize(
    ("versions", "stages"), [(("1", "2", "3"), ONE_STAGE), (("1", "2"), TEST_THEN_PROD)], ids=["three", "two-stages"]
)
def test_candidates_that_come_at_once_leave_the_newest_as_champion(
    versions: tuple[str, ...], stages: Mapping[str, tuple[str, ...]]
) -> None:
    requests = [requested(version, stages, ("deploy", "shift", "retire")) for version in versions]
    ends, _ = explore(start(*requests, faults=1))
    assert all(end[-1] is PromotionStatus.SUCCEEDED for end in ends)
    assert all(set(end) <= {PromotionStatus.SUCCEEDED, PromotionStatus.SUPERSEDED} for end in ends)


def test_every_event_on_every_reachable_lane_gives_a_sound_decision_or_none() -> None:
    """Each report ever made, and each request, applied to each state of the lane."""
    worlds = list(walk(start(requested("1"), requested("2"), faults=0)))
    lanes = {world.seen(): world.lane for world in worlds}
    queued = [message for world in worlds for message in world.queue.values()]
    reports = list({message.message_id: message for message in queued if isinstance(message, StepReported)}.values())
    failures = [replace(report, outcome=BROKEN) for report in reports]
    events: list[StepReported | PromotionRequested] = [*reports, *failures, requested("1"), requested("2")]
    decided = stale = 0
    for lane in lanes.values():
        for event in events:
            decision = decide(lane, event, NOW + timedelta(seconds=1))
            decided += 1
            stale += decision.stale
            assert {p.id for p in decision.lane.promotions} >= {p.id for p in lane.promotions}
            if decision.stale:
                assert decision.lane is lane
                assert decision.commands[: len(due(lane))] == due(lane)
            else:
                assert all(command in due(decision.lane) for command in decision.commands)
                assert decide(decision.lane, event, NOW).stale, "the same event works twice"
    assert decided > stale > 0
