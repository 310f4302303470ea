"""The holds of operators, in each kind of store."""

import threading
from datetime import timedelta

import pytest

from shared.core.holds import MOST_HOLDS, NO_HOLDS, Holds, Scope, hold, release
from shared.ports import Store, VersionConflictError
from tests.core.people import OPERATOR
from tests.core.world import NOW

SCOPES = (Scope(), Scope("churn"), Scope("churn", "", "prod"), Scope("churn", "größe", "prod"))


def held(holds: Holds, scope: Scope, reason: str = "audit") -> Holds:
    return hold(holds, scope, OPERATOR, reason, NOW + timedelta(days=1), NOW)


def test_there_are_none_at_first(store: Store) -> None:
    assert store.holds() == (NO_HOLDS, 0)


def test_what_was_saved_is_read_again_to_the_last_field(store: Store) -> None:
    holds = NO_HOLDS
    for version, scope in enumerate(SCOPES):
        holds = held(holds, scope)
        store.save_holds(holds, version)
        assert store.holds() == (holds, version + 1)
    holds = release(holds, SCOPES[0], OPERATOR, "over", NOW)
    store.save_holds(holds, len(SCOPES))
    assert store.holds()[0] == holds


def test_the_second_of_two_writers_gets_a_conflict_and_changes_nothing(store: Store) -> None:
    for version in (0, 1):
        first = held(store.holds()[0], Scope("churn"), f"first {version}")
        store.save_holds(first, version)
        with pytest.raises(VersionConflictError):
            store.save_holds(held(NO_HOLDS, Scope("fraud")), version)
        assert store.holds() == (first, version + 1)


def test_as_many_as_there_may_be_are_kept_and_fewer_afterwards(store: Store) -> None:
    holds = NO_HOLDS
    for number in range(MOST_HOLDS):
        holds = held(holds, Scope(f"route-{number}", "m" * 200, "s" * 60), f"{number} " + "because " * 200)
    store.save_holds(holds, 0)
    assert store.holds() == (holds, 1)
    few = held(NO_HOLDS, Scope())
    store.save_holds(few, 1)
    assert store.holds() == (few, 2)


def test_of_many_writers_at_once_none_loses_what_another_has_saved(store: Store) -> None:
    def add(number: int) -> None:
        while True:
            holds, version = store.holds()
            try:
                store.save_holds(held(holds, Scope(f"route-{number}")), version)
            except VersionConflictError:
                continue
            return

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.scope.route for each in store.holds()[0].holds} == {f"route-{number}" for number in range(6)}
