"""Each violation of what must hold of the requests of endpoints is reported as what it is, and nothing else is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.invariants import violations
from tests.chaos.logbook import Logbook
from tests.chaos.moves import Moves
from tests.chaos.test_invariants import CHAMPION, MODEL, REPLACED, SECOND, SOUND, STAGE
from tests.chaos.world import Move, Stage, Step, World
from tests.e2e.azure import Azure, Shares

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)
SHIFTED = Stage(STAGE, "succeeded", replaces="1", deployment="v2-b", steps=(Step("shift", started=NOON),))


def world(*moves: Move, stage: Stage = SHIFTED, **more: object) -> World:
    """The champion came to serve at noon."""
    lines = [replace(line, at=NOON) for line in CHAMPION.journal]
    champion = replace(CHAMPION, stages=(stage,), journal=tuple(lines))
    replaced = replace(REPLACED, journal=tuple(replace(line, at=NOON) for line in REPLACED.journal))
    return replace(SOUND, promotions=(champion, replaced), moves=moves, **more)  # type: ignore[arg-type]


BEFORE, AFTER = Move(MODEL, "v2-b", NOON - timedelta(seconds=1)), Move(MODEL, "v2-b", LATER)
BROKEN = {
    f"unsafe: v2-b of {MODEL} got requests at {BEFORE.at}, and {SECOND} began that at {NOON}": world(BEFORE),
    f"unsafe: v2-b of {MODEL} got requests at {AFTER.at}, and {SECOND} began that never": world(
        AFTER, stage=replace(SHIFTED, steps=(Step("shift", "waiting"),))
    ),
    f"unserved: {MODEL} was served by nobody at {LATER}, and {SECOND} had come to serve it before": world(
        Move(MODEL, None, LATER)
    ),
    f"unsafe: {SECOND} serves prod in place of version 1, and scores otherwise": world(
        differing=frozenset({(MODEL, "2")})
    ),
}
SOUNDS = {
    "when it was to": world(AFTER),
    "in an earlier attempt": world(BEFORE, stage=replace(SHIFTED, attempt=2)),
    "of another promotion": world(replace(BEFORE, deployment="v9-x")),
    "nobody had served it yet": world(Move(MODEL, None, BEFORE.at)),
    "both score otherwise": world(differing=frozenset({(MODEL, "2"), (MODEL, "1")})),
}


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    assert [str(each) for each in violations(BROKEN[text])] == [text]


@pytest.mark.parametrize("case", SOUNDS)
def test_what_a_journal_says_before_is_no_violation(case: str) -> None:
    assert violations(SOUNDS[case]) == []


class Shown(Azure):
    """An online endpoint and a batch endpoint that are seen to be served like this, one look after the other."""

    def __init__(self, looks: Sequence[tuple[Shares, frozenset[str]]], there: Sequence[str]) -> None:
        self._looks = list(looks)
        self._there = there

    async def shares(self, environment: str) -> dict[str, Shares]:
        self._now = self._looks.pop(0)
        return {"online": self._now[0]}

    async def batch_defaults(self, environment: str) -> dict[str, frozenset[str]]:
        return {"batch": self._now[1]}

    async def batch_deployments(self, environment: str, endpoint: str) -> dict[str, Any]:
        return {name: {} for name in self._there}


async def seen(tmp_path: Path, *looks: tuple[Shares, frozenset[str]], there: Sequence[str] = ("b1",)) -> Moves:
    moves = Moves(Shown(looks, there), Logbook(tmp_path / "log"))
    for _ in looks:
        await moves.look()
    return moves


async def test_the_first_request_of_each_deployment_is_noted_copies_too(tmp_path: Path) -> None:
    first = (Shares({"o1": 100}, {"o2": 20}), frozenset({"b1"}))
    moves = await seen(tmp_path, (Shares({}, {}), frozenset()), first, (Shares({"o2": 100}, {}), frozenset({"b1"})))
    found = {(each.endpoint, each.deployment) for each in moves.all}
    assert found == {("online", "o1"), ("online", "o2"), ("batch", "b1")}
    assert moves.wrong == []


async def test_an_endpoint_that_nobody_serves_any_more_is_noted(tmp_path: Path) -> None:
    moves = await seen(tmp_path, (Shares({"o1": 100}, {}), frozenset({"b1"})), (Shares({}, {}), frozenset()))
    assert [each.endpoint for each in moves.all if each.deployment is None] == ["online", "batch"]


async def test_a_default_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    look = (Shares({}, {}), frozenset({"b2"}))
    moves = await seen(tmp_path, look, look)
    assert moves.wrong == ["the default of batch is b2, which is not there, of ['b1']"]
