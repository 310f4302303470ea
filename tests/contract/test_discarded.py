"""What every journal of discarded dead letters must do, run against each of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite_discarded import SqliteDiscarded
from shared.cloud.table_discarded import TableDiscarded
from shared.ports import DiscardedLetter, DiscardedLetters

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LETTER = DiscardedLetter(
    id="steps-prod:7",
    message_id="nested",
    enqueued=NOW,
    gave_up="Each of 10 deliveries ended in an error.",
    content="[[[\0ü",
    encoding="utf-8",
    size=7,
    by="alice",
    reason="garbage of a test",
    at=NOW + timedelta(hours=1),
)


@pytest.fixture(params=["sqlite", "tables"])
def discarded(request: pytest.FixtureRequest, tmp_path: Path) -> DiscardedLetters:
    if request.param == "tables":
        return TableDiscarded(request.getfixturevalue("table"))
    return SqliteDiscarded(tmp_path / "made" / "promotions.sqlite")


def test_nothing_is_discarded_at_first(discarded: DiscardedLetters) -> None:
    page = discarded.page(10, None)
    assert (list(page.letters), page.following) == ([], None)


@pytest.mark.parametrize("content", ["[[[\0ü", "x" * 262_144, "ä" * 131_072])
def test_a_letter_is_kept_to_the_last_character(discarded: DiscardedLetters, content: str) -> None:
    letter = replace(LETTER, content=content)
    discarded.keep(letter)
    assert list(discarded.page(10, None).letters) == [letter]


def test_the_same_letter_once_more_is_the_last_decision_alone(discarded: DiscardedLetters) -> None:
    discarded.keep(LETTER)
    again = replace(LETTER, by="bob", reason="it was still there")
    discarded.keep(again)
    assert list(discarded.page(10, None).letters) == [again]


def test_a_letter_of_the_same_number_in_a_recreated_queue_is_another_one(discarded: DiscardedLetters) -> None:
    discarded.keep(LETTER)
    discarded.keep(replace(LETTER, enqueued=NOW + timedelta(days=1)))
    assert len(discarded.page(10, None).letters) == 2


def test_pages_follow_each_other_from_the_last_sent_to_the_first(discarded: DiscardedLetters) -> None:
    for number in range(7):
        # Two at a time, as a batch has them.
        enqueued = NOW + timedelta(seconds=number // 2)
        discarded.keep(replace(LETTER, id=f"steps-prod:{number}", enqueued=enqueued))
    found: list[DiscardedLetter] = []
    following: str | None = None
    while True:
        page = discarded.page(2, following)
        found += page.letters
        following = page.following
        if following is None:
            break
        assert len(page.letters) == 2
    assert sorted(each.id for each in found) == [f"steps-prod:{number}" for number in range(7)]
    assert [each.enqueued for each in found] == sorted((each.enqueued for each in found), reverse=True)


@pytest.mark.parametrize("following", ["", "nonsense", "\0"])
def test_an_unknown_continuation_is_refused(discarded: DiscardedLetters, following: str) -> None:
    with pytest.raises(ValueError, match="unknown continuation token"):
        discarded.page(10, following)
