"""A store's file of an earlier version can be read and written."""

import sqlite3
from pathlib import Path

from shared.cloud.sqlite import SqliteStore
from shared.core.lane import decide
from shared.core.promotion import Lane
from shared.core.replacing import replace
from tests.core.world import KEY, NOW, promotion, requested


def test_a_journal_without_who_is_read_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "promotions.sqlite"
    decision = decide(Lane(KEY), requested("1"), NOW)
    SqliteStore(file).save(Lane(KEY), decision.lane, 0, decision.journal)
    connection = sqlite3.connect(file)
    connection.execute("alter table journal drop column who")
    connection.close()
    found = SqliteStore(file).promotion(promotion("1").id)
    assert found is not None
    assert found[1] == [replace(entry, who="") for entry in decision.journal]
    after = decide(Lane(KEY), requested("2"), NOW)
    SqliteStore(file).save(Lane(KEY), after.lane, 1, after.journal)
    second = SqliteStore(file).promotion(promotion("2").id)
    assert second is not None
    assert second[1] == list(after.journal)
