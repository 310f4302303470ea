"""The figures on the pages about scale and cost are those that the rules produce, and both pages agree."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.stores_use import Caller, key
from shared.cloud.sqlite import SqliteStore

DOCS = Path(__file__).parents[2] / "docs"
SCALE, COST = ((DOCS / name).read_text(encoding="utf-8") for name in ("scale.md", "operations.md"))
#: Executions of `intake` per promotion, as the benchmark `waiting` counts them.
NOTIFICATIONS = 3
DAY = 24 * 60 * 60


def events(folder: Path, minutes: int) -> int:
    """How many events a promotion takes whose two deployments take so long."""
    return Caller(SqliteStore(folder / f"{minutes}.sqlite"), key(0), timedelta(minutes=minutes)).promote(0)


def number(pattern: str, page: str) -> int:
    found = re.search(pattern, page)
    assert found, pattern
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize(
    ("deployment", "minutes"), [("at once", 0), ("1 minute", 1), ("15 minutes", 15), ("20 minutes", 20)]
)
def test_the_table_of_events_is_what_the_rules_make(tmp_path: Path, deployment: str, minutes: int) -> None:
    assert events(tmp_path, minutes) == number(rf"\| {deployment} \| (\d+) \|", SCALE)


def test_invocations_are_those_of_the_events_and_of_the_commands_between_them(tmp_path: Path) -> None:
    advance = events(tmp_path, 15)
    commands = advance - 1  # the first event is the request
    assert f"({NOTIFICATIONS} of take_events, {advance} of advance, {commands} of workers)" in COST
    assert number(r"about (\d+) invocations", COST) == NOTIFICATIONS + advance + commands
    assert number(r"executions \| (\d+) \|", COST) == NOTIFICATIONS + advance + commands


def test_limits_are_worked_out_from_the_same_figures(tmp_path: Path) -> None:
    applied = events(tmp_path, 15)
    messages = 2 * applied - 1
    assert number(r"(\d+) messages, \d+ credits", SCALE) == messages
    assert number(r"messages, (\d+) credits", SCALE) == 2 * messages
    assert number(r"credits \| ([\d,]+) a day", SCALE) == pytest.approx(1_000 * DAY / (2 * messages), rel=0.03)
    assert number(r"promotions and ([\d,]+) events per second", SCALE) == pytest.approx(1e6 * applied / DAY, rel=0.01)
    requests = number(r"\| 15 minutes \| \d+ \| (\d+) \|", SCALE)
    assert number(r"20,000 /s \| (\d+) \|", SCALE) == requests
    assert number(r"per event, (\d+) \|", COST) == requests
    assert number(r"20,000 /s \| \d+ \| ([\d,]+) a day", SCALE) == pytest.approx(20_000 * DAY / requests, rel=0.03)


def test_limits_of_writes_and_of_memory_are_worked_out_from_the_figures_beside_them() -> None:
    writes = number(r"(\d+) per stage and environment, and 1 deletion", SCALE)
    assert number(r"counted separately \| ([\d,]+) a day", SCALE) == pytest.approx(10 * DAY / writes, rel=0.03)
    instances = number(r"(\d+) instances of 2 GB", SCALE)
    assert instances == 512_000 / 2_048
    assert number(r"on one of 16 \| ([\d,]+) a day", SCALE) == pytest.approx(instances * 16 * DAY / run_for(), rel=0.03)


def test_limits_of_reads_and_of_functions_are_worked_out_from_the_calls() -> None:
    reads = number(r"about (\d+) per stage and environment", SCALE)
    assert number(r"per stage and environment \| ([\d,]+) a day", SCALE) == pytest.approx(25 * DAY / reads, rel=0.03)
    at_once = 16 * number(r"16 on each of (\d+) instances", SCALE)
    assert number(r"in 0.3 s \| ([\d,]+) a day", SCALE) == pytest.approx(at_once * DAY / run_for(), rel=0.03)
    assert {int(seconds) for seconds in re.findall(r"\| (\d+) s(?:,| on)", SCALE)} == {run_for()}


def test_the_calls_of_longer_promotions_are_worked_out_from_those_that_were_counted() -> None:
    counted, of_share = number(r"calls to Azure ML \| (\d+)", COST), number(r"\((\d+) of them for `share`", COST)
    polls = number(r"about \d+: (\d+) more polls", COST)
    assert number(r"once per promotion\) \| about (\d+): one per poll", COST) == counted + polls
    calls = number(r"of workers\) and (\d+)\s+calls", COST)
    assert calls == of_share + 2 * (counted - of_share + polls)
    assert run_for() == round(calls * 0.3)
    invocations = number(r"function invocations \| (\d+) ", COST)
    assert number(r"\| about (\d+): \d+ more polls", COST) == invocations + 2 * polls


def run_for() -> int:
    """Seconds of functions for a promotion through two stages of 15 minutes."""
    return number(r"functions run for (\d+) s", COST)
