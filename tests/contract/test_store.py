"""What every store must do, run against each of them."""

import threading
from datetime import timedelta

import pytest

from shared.core.commands import due
from shared.core.events import AwaitedJobEnded, Cancelled, KeepingEnded, PromotionRequested
from shared.core.lane import LONGEST_QUEUE, decide
from shared.core.lane_notes import Hold, Unpublished
from shared.core.messages import GRACE, AwaitedJob, Kind, LaneKey, Running
from shared.core.promotion import NEXT_IN_LINE, Lane, Promotion, PromotionStatus, StageStatus
from shared.core.promotion_ids import lane_digest, promotion_id
from shared.core.replacing import replace
from shared.ports import PromotionFilter, Publishing, Store, VersionConflictError
from tests.contract.stored_lane import StoredLaneDriver, apply
from tests.core.driver import AzureAnswers
from tests.core.people import OPERATOR
from tests.core.world import BROKEN, KEPT_FOR, KEY, NOW, REFUSED, ROLLING, Azure, answer, promotion, requested

EVERYTHING = PromotionFilter()


def finish(store: Store, version: str, azure: Azure | None = None) -> Lane:
    """Drive a promotion to its end through the store."""
    return StoredLaneDriver(store, requested(version), AzureAnswers(azure)).run()


def test_a_lane_that_was_never_saved_is_empty_and_at_version_0(store: Store) -> None:
    assert store.load(KEY, None) == (Lane(KEY), 0)


def test_what_was_saved_is_loaded_again_to_the_last_field(store: Store) -> None:
    driver = StoredLaneDriver(store, requested("1"), lambda command: BROKEN if command.stage == "prod" else None)
    moments = 0
    for _ in driver.moments():
        assert store.load(KEY, driver.lane.promotions[0].id)[0] == driver.lane
        moments += 1
    (ended,) = driver.lane.promotions
    assert store.load(KEY, ended.id)[0] == driver.lane
    assert (ended.status, moments > 6) == (PromotionStatus.FAILED, True)


def test_promotions_that_have_ended_are_loaded_only_when_named(store: Store) -> None:
    ended = finish(store, "1").promotions[0]
    assert store.load(KEY, None)[0].promotions == ()
    assert store.load(KEY, ended.id)[0].promotions == (ended,)


def test_promotions_under_way_are_loaded_in_the_order_in_which_they_were_requested(store: Store) -> None:
    for version in ("9", "10", "11"):
        apply(store, requested(version))
    assert [each.candidate.version for each in store.load(KEY, None)[0].promotions] == ["9", "11"]


def test_a_promotion_that_has_ended_keeps_its_place_among_those_under_way(store: Store) -> None:
    ended = finish(store, "1").promotions[0]
    under_way = apply(store, requested("2")).lane.promotions[0]
    assert store.load(KEY, ended.id)[0].promotions == (ended, under_way)


def test_a_promotion_that_keeps_what_it_replaced_is_loaded_with_its_lane_until_that_is_removed(store: Store) -> None:
    azure = AzureAnswers()
    for version in ("1", "2"):
        lane = StoredLaneDriver(store, requested(version, {"test": ()}, asked=ROLLING), azure).run()
    (keeps,) = store.load(KEY, None)[0].promotions
    assert (keeps.candidate.version, keeps.status) == ("2", PromotionStatus.SUCCEEDED)
    assert keeps.stages[0].kept_until == NOW + KEPT_FOR
    assert list(store.overdue(NOW + KEPT_FOR - timedelta(seconds=1))) == []
    assert list(store.overdue(NOW + KEPT_FOR)) == [KEY]
    end = KeepingEnded(KEY, keeps.id, OPERATOR, "it costs money")
    lane = StoredLaneDriver(store, end, azure).run()
    assert lane.champions["test"].promotion == keeps.id
    assert store.load(KEY, None)[0].promotions == ()
    assert azure.azure.endpoint("test").deployments == {keeps.id}


def test_champions_outlive_their_promotions(store: Store) -> None:
    ended = finish(store, "1").promotions[0]
    champions = store.load(KEY, None)[0].champions
    assert {stage: champion.promotion for stage, champion in champions.items()} == {"test": ended.id, "prod": ended.id}


def test_the_second_of_two_writers_gets_a_conflict_and_changes_nothing(store: Store) -> None:
    lane, version = store.load(KEY, None)
    first = decide(lane, requested("1"), NOW)
    second = decide(lane, requested("2"), NOW)
    store.save(lane, first.lane, version, first.journal)
    with pytest.raises(VersionConflictError):
        store.save(lane, second.lane, version, second.journal)
    assert [each.candidate.version for each in store.load(KEY, None)[0].promotions] == ["1"]
    assert store.promotion(second.lane.promotions[0].id) is None


def test_a_lane_that_was_never_saved_has_no_later_version(store: Store) -> None:
    lane, _ = store.load(KEY, None)
    first = decide(lane, requested("1"), NOW)
    with pytest.raises(VersionConflictError):
        store.save(lane, first.lane, 3, first.journal)
    assert store.load(KEY, None) == (lane, 0)
    assert store.promotion(first.lane.promotions[0].id) is None


def test_of_many_writers_at_once_each_decision_is_kept_exactly_once(store: Store) -> None:
    def write(number: int) -> None:
        for _ in range(200):
            try:
                apply(store, PromotionRequested(promotion(f"job-{number}", {"register": ()}, Kind.JOB)))
                return
            except VersionConflictError:
                continue

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lane,) = store.lanes(None, None, 10, None).lanes
    assert sorted(each.candidate.version for each in lane.promotions) == sorted(f"job-{n}" for n in range(12))
    assert store.load(KEY, None)[1] == 12


def test_lanes_do_not_see_each_other(store: Store) -> None:
    apply(store, requested("1"))
    assert store.load(LaneKey(KEY.route, "another"), None) == (Lane(LaneKey(KEY.route, "another")), 0)


def test_a_lane_is_overdue_from_its_wake_up_time_on_and_no_longer_once_it_has_ended(store: Store) -> None:
    driver = StoredLaneDriver(store, requested("1"), lambda command: BROKEN)
    assert store.overdue(NOW + GRACE - timedelta(seconds=1)) == []
    assert store.overdue(NOW + GRACE) == [KEY]
    driver.run()
    assert store.overdue(NOW + timedelta(days=365)) == []


def test_a_lane_with_changes_that_nobody_was_told_of_keeps_them_and_is_overdue_a_minute_later(store: Store) -> None:
    unpublished = Unpublished(NOW, {"churn-eu-1-67732bfcb1e1": 7})
    store.save(Lane(KEY), Lane(KEY, unpublished=unpublished), 0, ())
    lane, version = store.load(KEY, None)
    assert lane.unpublished == unpublished
    assert store.overdue(NOW + timedelta(seconds=59)) == []
    assert store.overdue(NOW + timedelta(minutes=1)) == [KEY]
    store.save(lane, Lane(KEY), version, ())
    assert store.overdue(NOW + timedelta(days=365)) == []


def test_overdue_lanes_are_found_in_their_order_wherever_their_wake_up_times_have_moved(store: Store) -> None:
    keys = [LaneKey("route", f"model-{number}") for number in range(4)]
    waits: dict[LaneKey, timedelta] = {}
    for turn in range(120):
        key = keys[turn * 7 % 4]
        waits.pop(key, None)
        if turn % 11:
            waits[key] = timedelta(seconds=turn * 7919 % 3600)
        wait(store, key, waits.get(key))
        if turn % 3 == 0:
            now = timedelta(seconds=turn * 104729 % 3600)
            overdue = sorted((lane for lane, until in waits.items() if until <= now), key=lambda lane: waits[lane])
            assert store.overdue(NOW + now) == overdue


def wait(store: Store, key: LaneKey, until: timedelta | None) -> None:
    """Let the lane wait until then, or for nothing."""
    made = promotion("1", {"test": ()})
    status = StageStatus.QUEUED if until is not None else StageStatus.SKIPPED
    stage = replace(made.stages[0], status=status, queued=NOW + (until or timedelta()) - LONGEST_QUEUE)
    before, version = store.load(key, None)
    made = replace(made, id=_id(1, key), lane=key, stages=(stage,))
    store.save(before, before.with_promotion(made), version, ())


def test_watching_began_when_it_was_first_asked(store: Store) -> None:
    assert store.watching_since(NOW) == NOW
    assert store.watching_since(NOW + timedelta(days=3)) == NOW


def test_how_publishing_went_last_is_kept_for_every_process(store: Store) -> None:
    assert store.publishing() is None
    store.keep_publishing(Publishing(NOW, "403: the identity may not send"))
    assert store.publishing() == Publishing(NOW, "403: the identity may not send")
    store.keep_publishing(Publishing(NOW + timedelta(minutes=1)))
    assert store.publishing() == Publishing(NOW + timedelta(minutes=1), "")


def test_one_promotion_comes_with_its_journal_in_order(store: Store) -> None:
    ended = finish(store, "1", Azure(failing={("1", "test", "validate"): REFUSED})).promotions[0]
    found = store.promotion(ended.id)
    assert found is not None
    assert found[0] == ended
    words = [entry.what for entry in found[1]]
    assert words[:2] == ["requested", "stage-started"]
    assert words[-1] == "refused"
    assert {entry.promotion for entry in found[1]} == {ended.id}


def test_an_unknown_promotion_is_none(store: Store) -> None:
    assert store.promotion("nobody") is None


def _id(number: int, lane: LaneKey = KEY) -> str:
    """Ids that sort like their numbers."""
    return f"p{number:03}-{lane_digest(lane)}{'0' * 20}"


def _save(store: Store, number: int, status: PromotionStatus = PromotionStatus.QUEUED, lane: LaneKey = KEY) -> None:
    made = promotion(str(number))
    created = NOW + timedelta(minutes=number // 2)
    made = replace(made, id=_id(number, lane), created=created, status=status, lane=lane)
    before, version = store.load(made.lane, None)
    store.save(before, before.with_promotion(made), version, ())


def test_pages_go_from_the_newest_to_the_oldest_without_gaps_or_repeats(store: Store) -> None:
    for number in range(23):
        _save(store, number)
    seen: list[str] = []
    following = None
    for _ in range(10):
        page = store.promotions(EVERYTHING, 5, following)
        seen += [each.id for each in page.promotions]
        following = page.following
        if following is None:
            break
    assert seen == [_id(number) for number in reversed(range(23))]


def test_a_page_that_ends_exactly_at_the_last_one_has_no_following_page(store: Store) -> None:
    for number in range(4):
        _save(store, number)
    assert store.promotions(EVERYTHING, 4, None).following is None


def test_filters_narrow_the_list(store: Store) -> None:
    _save(store, 1)
    _save(store, 2, status=PromotionStatus.FAILED)
    _save(store, 3, lane=LaneKey("fraud", "fraud-eu"))

    def listed(wanted: PromotionFilter) -> list[str]:
        return [each.id.partition("-")[0] for each in store.promotions(wanted, 50, None).promotions]

    assert listed(PromotionFilter(status=PromotionStatus.FAILED)) == ["p002"]
    assert listed(PromotionFilter(route="fraud")) == ["p003"]
    assert listed(PromotionFilter(model=KEY.model)) == ["p002", "p001"]
    assert listed(PromotionFilter(environment="prod")) == ["p003", "p002", "p001"]
    assert listed(PromotionFilter(environment="pro")) == []
    assert listed(PromotionFilter(route="fraud", status=PromotionStatus.FAILED)) == []


@pytest.mark.parametrize("continuation", ["nonsense", "2026~", "~p1", "yesterday~p1"])
def test_a_continuation_that_was_never_given_is_a_value_error(store: Store, continuation: str) -> None:
    with pytest.raises(ValueError):
        store.promotions(EVERYTHING, 5, continuation)


def test_lanes_come_by_name_in_pages_with_champions_holds_and_what_is_under_way(store: Store) -> None:
    ended = finish(store, "1").promotions[0]
    under_way = apply(store, requested("2")).lane.promotions[0]
    for name in ("a", "b", "z"):
        key = LaneKey(name, "m")
        store.save(Lane(key), Lane(key, holds={"prod": Hold("p", "alice", "bad", NOW)}), 0, ())
    first = store.lanes(None, None, 3, None)
    assert [lane.key.route for lane in first.lanes] == ["a", "b", KEY.route]
    assert first.lanes[0].holds["prod"].by == "alice"
    assert first.lanes[2].champions["prod"].promotion == ended.id
    assert first.lanes[2].promotions == (under_way,)
    following = store.lanes(None, None, 3, first.following)
    assert [lane.key.route for lane in following.lanes] == ["z"]
    assert following.following is None


def test_lanes_of_a_route_or_model_and_none_that_no_route_takes(store: Store) -> None:
    keys = [LaneKey("", "m"), LaneKey("r", "m"), LaneKey("r", "n"), LaneKey("s", "m")]
    for key in keys:
        store.save(Lane(key), Lane(key), 0, ())

    def listed(route: str | None, model: str | None) -> list[LaneKey]:
        return [lane.key for lane in store.lanes(route, model, 50, None).lanes]

    assert listed(None, None) == keys[1:]
    assert listed("r", None) == keys[1:3]
    assert listed(None, "m") == [keys[1], keys[3]]
    assert listed("s", "n") == listed("", None) == []


@pytest.mark.parametrize("continuation", ["nonsense", "7", "[]", '["r"]', '["r", 7]', "{}", "[" * 100_000])
def test_a_continuation_of_lanes_that_was_never_given_is_a_value_error(store: Store, continuation: str) -> None:
    with pytest.raises(ValueError):
        store.lanes(None, None, 5, continuation)


def test_a_key_keeps_what_was_claimed_first(store: Store) -> None:
    assert store.claim("key", "first") == "first"
    assert store.claim("key", "second") == "first"
    assert store.claim("another", "second") == "second"


def test_all_of_many_concurrent_claims_of_a_key_get_the_same_content(store: Store) -> None:
    told: list[str] = []

    def claim(content: str) -> None:
        told.append(store.claim("key", content))

    threads = [threading.Thread(target=claim, args=(str(number),)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 12
    assert len(set(told)) == 1


# --- lines of jobs ----------------------------------------------------------------------------------------------------

MANY_JOBS = 40


def job(number: int) -> Promotion:
    return promotion(f"job-{number}", {"register": ()}, Kind.JOB)


def test_of_a_long_line_only_the_next_few_are_loaded_and_all_get_their_turn_in_order(store: Store) -> None:
    for number in range(MANY_JOBS):
        apply(store, PromotionRequested(job(number)))
    ended = []
    for _ in range(MANY_JOBS):
        lane, _ = store.load(KEY, None)
        assert len(lane.promotions) <= 1 + NEXT_IN_LINE
        (command,) = due(lane)
        ended.append(command.promotion)
        apply(store, answer(command))
    assert ended == [job(number).id for number in range(MANY_JOBS)]
    assert store.load(KEY, None)[0].promotions == ()


def test_one_far_behind_in_line_is_loaded_by_its_name_and_can_be_called_off(store: Store) -> None:
    for number in range(MANY_JOBS):
        apply(store, PromotionRequested(job(number)))
    last = job(MANY_JOBS - 1)
    apply(store, Cancelled(KEY, last.id, OPERATOR, "not needed"))
    found = store.promotion(last.id)
    assert found is not None
    assert found[0].status is PromotionStatus.CANCELLED
    (page,) = store.lanes(None, None, 10, None).lanes
    assert [each.id for each in page.promotions] == [job(number).id for number in range(MANY_JOBS - 1)]


JOB = AwaitedJob("/subscriptions/d/workspaces/ws-dev", "train-3")


def wait_for(store: Store, job: AwaitedJob | None) -> Lane:
    """The lane's step answers that it waits for a job, or for none."""
    lane, _ = store.load(KEY, None)
    [command] = due(lane)
    return apply(store, answer(command, Running(timedelta(minutes=1), "waits", awaits=job))).lane


def test_a_lane_is_found_by_the_job_that_it_waits_for_and_by_no_other(store: Store) -> None:
    apply(store, requested("1"))
    assert store.awaiting(JOB) == []
    wait_for(store, JOB)
    assert store.awaiting(JOB) == [KEY]
    assert store.awaiting(replace(JOB, workspace=JOB.workspace.upper())) == [KEY]
    assert store.awaiting(replace(JOB, job="other")) == []
    assert store.awaiting(replace(JOB, workspace="/subscriptions/d/workspaces/other")) == []


def test_a_lane_is_found_for_as_long_as_it_waits(store: Store) -> None:
    apply(store, requested("1"))
    wait_for(store, JOB)
    other = replace(JOB, job="other")
    wait_for(store, JOB)
    assert store.awaiting(JOB) == [KEY]
    wait_for(store, other)
    assert (store.awaiting(JOB), store.awaiting(other)) == ([], [KEY])
    wait_for(store, None)
    assert store.awaiting(other) == []
    wait_for(store, JOB)
    assert store.awaiting(JOB) == [KEY]
    apply(store, AwaitedJobEnded(KEY, JOB))
    assert store.awaiting(JOB) == []


def test_several_lanes_may_wait_for_one_job(store: Store) -> None:
    keys = [LaneKey("churn", "churn-eu"), LaneKey("churn", "churn us/1"), LaneKey("r", "x")]
    for key in keys:
        asked = requested("1")
        mine = replace(asked.promotion, lane=key, id=promotion_id(key, asked.promotion.candidate))
        lane = apply(store, replace(asked, promotion=mine)).lane
        apply(store, answer(due(lane)[0], Running(timedelta(minutes=1), "waits", awaits=JOB)))
    assert sorted(store.awaiting(JOB), key=str) == sorted(keys, key=str)
