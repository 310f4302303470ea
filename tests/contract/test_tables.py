"""What only the store on Azure Tables must prove: sizes, keys, races between processes, and lists of any length."""

import multiprocessing
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from itertools import count, product

import pytest
from azure.data.tables import TableClient

from shared.cloud.table import MOST_OPERATIONS, Table, TooLargeError, split
from shared.cloud.table_keys import lane_partition
from shared.cloud.table_lists import Lists
from shared.cloud.tables import TablesStore
from shared.core.events import PromotionRequested
from shared.core.journal import JournalEntry
from shared.core.lane import decide
from shared.core.lane_notes import Hold
from shared.core.messages import Candidate, Kind, LaneKey
from shared.core.promotion import Lane, Promotion, PromotionStatus
from shared.core.promotion_ids import lane_digest, promotion_id
from shared.core.replacing import replace
from shared.ports import PromotionFilter, VersionConflictError
from tests.core.world import KEY, NOW, candidate, promotion

SETTLED = timedelta(0)
NAMES = [
    "a/b\\c#d?e",
    "..",
    '50% of it\'s "=" !~*',
    "größer 中文 😀",
    "tab\tnull\0bell\x07del\x7f\x9f",
    " blank at both ends ",
    "x" * 255,
    "é" * 255,
]


@pytest.fixture
def store(table: TableClient) -> TablesStore:
    return TablesStore(table, SETTLED)


def made(number: int, lane: LaneKey = KEY, **changes: object) -> Promotion:
    """A unique promotion, whose id sorts like its number."""
    subject = candidate(f"{number:05}")
    base = replace(promotion(f"{number:05}"), id=promotion_id(lane, subject), lane=lane)
    return replace(base, **changes)  # type: ignore[arg-type]  # the caller's business


def text_of(length: int) -> str:
    """Text that cannot be compressed."""
    return random.Random(length).randbytes(length * 3 // 4).hex()[:length]


def settings_of(found: Promotion) -> Mapping[str, object]:
    return found.stages[0].settings


def holding(each: Promotion, content: str) -> Promotion:
    return replace(each, stages=(replace(each.stages[0], settings={"content": content}), *each.stages[1:]))


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [64_000, 200_000, 3_000_000], ids=["one property", "several", "several rows"])
def test_a_document_of_any_size_comes_back_to_the_last_character(store: TablesStore, length: int) -> None:
    big = holding(made(1), text_of(length))
    line = JournalEntry(NOW, big.id, 1, "test", "deploy", "step-failed", text_of(length // 3))
    lane = Lane(KEY, holds={"prod": Hold(big.id, "alice", text_of(length // 4), NOW)})
    store.save(Lane(KEY), lane.with_promotion(big), 0, [line])
    assert store.load(KEY, None)[0] == lane.with_promotion(big)
    assert store.promotion(big.id) == (big, [line])
    assert store.promotions(PromotionFilter(), 5, None).promotions == [big]


def test_a_document_may_grow_and_shrink_again(store: TablesStore) -> None:
    kept = made(1)
    for length in (10, 3_000_000, 100_000, 2_000_000, 10):
        before, version = store.load(KEY, None)
        after = before.with_promotion(holding(kept, text_of(length)))
        store.save(before, after, version, ())
        assert store.load(KEY, None)[0] == after
        found = store.promotion(kept.id)
        assert found is not None
        assert settings_of(found[0]) == {"content": text_of(length)}


def test_a_claim_may_be_long_and_its_key_anything(store: TablesStore) -> None:
    for name in (*NAMES, ""):
        assert store.claim(name, text_of(900_000)) == text_of(900_000)
        assert store.claim(name, "later") == text_of(900_000)


def test_hundreds_of_journal_lines_are_saved_at_once(store: TablesStore) -> None:
    kept = made(1)
    lines = [JournalEntry(NOW, kept.id, number, "", "", "note", f"line {number}") for number in range(1, 501)]
    store.save(Lane(KEY), Lane(KEY).with_promotion(kept), 0, lines)
    assert store.promotion(kept.id) == (kept, lines)


def test_as_many_promotions_are_saved_at_once_as_a_transaction_holds_and_no_more(store: TablesStore) -> None:
    most = tuple(made(number) for number in range(MOST_OPERATIONS - 1))
    store.save(Lane(KEY), Lane(KEY, promotions=most), 0, ())
    before, version = store.load(KEY, None)
    assert before.promotions == most
    changed = tuple(replace(each, reason="changed") for each in (*most, made(MOST_OPERATIONS)))
    with pytest.raises(TooLargeError, match="101 changes"):
        store.save(before, replace(before, promotions=changed), version, ())
    assert store.load(KEY, None) == (before, version)


def test_more_bytes_than_a_transaction_holds_are_refused_and_nothing_changes(store: TablesStore) -> None:
    store.save(Lane(KEY), Lane(KEY).with_promotion(made(1)), 0, ())
    before, version = store.load(KEY, None)
    with pytest.raises(TooLargeError, match="nothing was changed"):
        store.save(before, before.with_promotion(holding(made(1), text_of(7_000_000))), version, ())
    assert store.load(KEY, None) == (before, version)


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20].encode("unicode_escape").decode())
def test_routes_and_models_may_have_any_name(store: TablesStore, name: str) -> None:
    lane = LaneKey(name, name[::-1])
    kept = made(1, lane)
    before = Lane(lane)
    requested = decide(before, PromotionRequested(kept), NOW)
    store.save(before, requested.lane, 0, requested.journal)
    [saved] = requested.lane.promotions
    assert store.load(lane, saved.id)[0] == requested.lane
    assert store.promotion(saved.id) == (saved, list(requested.journal))
    assert store.overdue(NOW + timedelta(days=1)) == [lane]
    for wanted in (
        PromotionFilter(),
        PromotionFilter(route=name),
        PromotionFilter(model=name[::-1], status=saved.status),
    ):
        assert store.promotions(wanted, 5, None).promotions == [saved]
    for route, model in ((None, None), (name, None), (None, name[::-1]), (name, name[::-1])):
        assert store.lanes(route, model, 5, None).lanes == [requested.lane]
    assert store.lanes(name[:-1], None, 5, None).lanes == []


def test_lanes_of_one_partition_do_not_disturb_each_other(store: TablesStore) -> None:
    seen: dict[str, LaneKey] = {}
    for number in count():
        other = LaneKey("churn", f"model-{number}")
        lane = seen.setdefault(lane_partition(other), other)
        if lane is not other:
            break
    assert lane_digest(lane) == lane_digest(other)
    for key in (lane, other):
        store.save(
            Lane(key), Lane(key).with_promotion(made(1, key, id=f"of-{key.model}-{lane_digest(key)}{'0' * 20}")), 0, ()
        )
    for key in (lane, other):
        [kept] = store.load(key, None)[0].promotions
        assert kept.lane == key
        assert store.load(key, f"of-{other.model}-{lane_digest(key)}{'0' * 20}")[0].promotions == (kept,)


@pytest.mark.parametrize("id", ["", "/", "x" * 2000, "a-000000000000'", "..", "a-00000000000g", "A-000000000000"])
def test_what_is_no_id_of_a_promotion_is_not_there(store: TablesStore, id: str) -> None:
    assert store.promotion(id) is None
    assert store.load(KEY, id) == (Lane(KEY), 0)


def test_a_promotion_whose_id_does_not_name_its_lane_is_refused(store: TablesStore) -> None:
    with pytest.raises(ValueError, match="does not contain its lane's digest"):
        store.save(Lane(KEY), Lane(KEY).with_promotion(made(1, id="p-000000000000")), 0, ())
    assert store.load(KEY, None) == (Lane(KEY), 0)


# --- races ------------------------------------------------------------------------------------------------------------


def request_many(connection_string: str, table: str, writer: int, many: int) -> int:
    """Request promotions in a process of its own, one after another. Return the number of conflicts."""
    conflicts = 0
    with TableClient.from_connection_string(connection_string, table) as client:
        store = TablesStore(client)
        for number in range(many):
            subject = Candidate(Kind.JOB, KEY.model, f"job-{writer}-{number}", "dev", "/subscriptions/d/workspaces/dev")
            kept = replace(promotion(kind=Kind.JOB), id=promotion_id(KEY, subject), candidate=subject)
            while True:
                before, version = store.load(KEY, kept.id)
                after = decide(before, PromotionRequested(kept), NOW)
                try:
                    store.save(before, after.lane, version, after.journal)
                    break
                except VersionConflictError:
                    conflicts += 1
    return conflicts


def test_of_several_processes_none_overwrites_another(storage_account: str, table: TableClient) -> None:
    writers, many = 3, 8
    with ProcessPoolExecutor(writers, mp_context=multiprocessing.get_context("spawn")) as processes:
        running = [
            processes.submit(request_many, storage_account, table.table_name, writer, many) for writer in range(writers)
        ]
        conflicts = sum(each.result(timeout=300) for each in running)
    (lane,) = TablesStore(table).lanes(None, None, 10, None).lanes
    assert conflicts > 0
    assert TablesStore(table).load(KEY, None)[1] == len(lane.promotions) == writers * many
    assert len(TablesStore(table).promotions(PromotionFilter(), 100, None).promotions) == writers * many
    for each in lane.promotions:
        found = TablesStore(table).promotion(each.id)
        assert found is not None
        assert [entry.number for entry in found[1]] == list(range(1, each.lines + 1))


def test_a_reader_never_sees_half_of_a_save(table: TableClient, store: TablesStore) -> None:
    def lane(number: int) -> Lane:
        kept = holding(replace(made(1), reason=str(number)), text_of(1_500_000 + number))
        return Lane(KEY, holds={"prod": Hold("", "", str(number), NOW)}, promotions=(kept,))

    store.save(Lane(KEY), lane(0), 0, ())
    seen: list[tuple[str, str]] = []
    done = threading.Event()

    def read() -> None:
        own = TablesStore(table)
        while not done.is_set():
            found, _ = own.load(KEY, None)
            [kept] = found.promotions
            seen.append((found.holds["prod"].reason, kept.reason))
            assert settings_of(kept) == {"content": text_of(1_500_000 + int(kept.reason))}

    with ThreadPoolExecutor(2) as readers:
        running = [readers.submit(read) for _ in range(2)]
        for number in range(1, 9):
            before, version = store.load(KEY, None)
            store.save(before, lane(number), version, ())
        done.set()
        for each in running:
            each.result()
    assert all(of_lane == of_promotion for of_lane, of_promotion in seen)
    assert len(set(seen)) > 1


def test_rows_of_two_documents_are_never_put_together(table: TableClient) -> None:
    rows = Table(table)
    for version in (1, 2):
        head, *parts = split("p", "row", text_of(1_500_000), version, {})
        for row in (head, *(parts if version == 1 else ())):
            rows.put(row)
    with pytest.raises(VersionConflictError, match="while it was read"):
        rows.document("p", "row")


def test_a_version_that_is_a_plain_number_is_as_good(store: TablesStore) -> None:
    store.save(Lane(KEY), Lane(KEY).with_promotion(made(1)), 0, ())
    before, version = store.load(KEY, None)
    after = before.with_promotion(replace(made(1), reason="changed"))
    with pytest.raises(VersionConflictError):
        store.save(before, after, 0, ())
    with pytest.raises(VersionConflictError):
        store.save(before, after, 2, ())
    store.save(before, after, int(version), ())
    assert store.load(KEY, None) == (after, 2)


# --- lists ------------------------------------------------------------------------------------------------------------


def test_what_a_lost_race_left_in_a_list_is_not_shown_and_goes_in_time(table: TableClient, store: TablesStore) -> None:
    store.save(Lane(KEY), Lane(KEY).with_promotion(made(1)), 0, ())
    before, version = store.load(KEY, None)
    store.save(before, before.with_promotion(replace(made(1), status=PromotionStatus.RUNNING)), version, ())
    failed = replace(made(1), status=PromotionStatus.FAILED)
    with pytest.raises(VersionConflictError):
        store.save(before, before.with_promotion(failed).with_promotion(made(2)), version, ())
    wanted = PromotionFilter(status=PromotionStatus.FAILED)
    assert TablesStore(table).promotions(wanted, 5, None).promotions == []
    assert left_over(table, "status!failed!") == 1
    assert store.promotions(wanted, 5, None).promotions == []
    assert left_over(table, "status!failed!") == 0
    assert [each.status for each in store.promotions(PromotionFilter(), 5, None).promotions] == ["running"]


def left_over(table: TableClient, prefix: str) -> int:
    rows = table.query_entities("PartitionKey eq 'promotions'", select=["RowKey"])
    return sum(row["RowKey"].startswith(prefix) for row in rows)


def test_a_page_ends_early_rather_than_pass_over_a_long_list(table: TableClient, store: TablesStore) -> None:
    every = [made(number, created=NOW + timedelta(minutes=number)) for number in range(90)]
    for start in (0, 45):
        before, version = store.load(KEY, None)
        store.save(before, replace(before, promotions=(*before.promotions, *every[start : start + 45])), version, ())
    with ThreadPoolExecutor(4) as pool:
        lists = Lists(Table(table), pool, SETTLED, most_passed=40)
        wanted = PromotionFilter(route=KEY.route, environment="nowhere")
        following, pages = None, 0
        for _ in range(10):
            page = lists.promotions(wanted, following, 5, lambda entry: str(entry["promotion"]))
            assert page.items == []
            pages += 1
            if page.end is None:
                break
            following = f"{page.end['created']}~{page.end['promotion']}"
    assert pages == 3


def test_filters_may_be_combined_in_every_way(store: TablesStore) -> None:
    lanes = [LaneKey("r", "m"), LaneKey("r", "n"), LaneKey("s", "m")]
    states = (PromotionStatus.FAILED, PromotionStatus.RUNNING)
    every: list[Promotion] = []
    for number, (lane, taken, stage) in enumerate(product(lanes, states, ("test", "prod"))):
        stages = promotion(stages={stage: ()}).stages
        every.append(made(number, lane, status=taken, stages=stages, created=NOW + timedelta(seconds=number)))
        before, version = store.load(lane, None)
        store.save(before, before.with_promotion(every[-1]), version, ())
    statuses = (None, *states, PromotionStatus.IGNORED)
    for names in product((None, "r", "s"), (None, "m", "n"), (None, "test", "prod", "nowhere"), statuses):
        wanted = PromotionFilter(*names)
        assert pages(store, wanted) == [each.id for each in reversed(every) if fits(each, wanted)], wanted


def fits(each: Promotion, wanted: PromotionFilter) -> bool:
    return (
        wanted.route in (None, each.lane.route)
        and wanted.model in (None, each.lane.model)
        and wanted.status in (None, each.status)
        and wanted.environment in (None, each.stages[0].environment)
    )


def pages(store: TablesStore, wanted: PromotionFilter) -> list[str]:
    """Ids in pages of two."""
    found: list[str] = []
    following = None
    for _ in range(20):
        page = store.promotions(wanted, 2, following)
        found += [each.id for each in page.promotions]
        following = page.following
        if following is None:
            return found
    raise AssertionError("the pages do not end")
