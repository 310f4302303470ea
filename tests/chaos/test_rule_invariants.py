"""Each violation of what must hold of holds and bundles is reported as what it is, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.config import bundle
from tests.chaos.holding import Scope, read, written
from tests.chaos.invariants import violations
from tests.chaos.publishing import files_of
from tests.chaos.rule_invariants import deployed_from
from tests.chaos.test_invariants import BUNDLE, CHAMPION, ENDPOINT, REPLACED, SECOND, SOUND, STAGE
from tests.chaos.world import Answer, Hold, Line, Promotion, Queue, Request, World

OLD, NEW, FOREIGN = BUNDLE, "b" * 64, "c" * 64
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ASKED = Request("set", "alice", "an audit", Answer.DONE)
PUBLISHED = Request("published", "paul", "it is better", Answer.DONE)
BEGAN = Line("stage-started", "in prod", STAGE, at=NOON)


def with_bundles(champion: Promotion = CHAMPION, **more: object) -> World:
    """Another bundle has been published, too."""
    known = replace(SOUND, promotions=(champion, REPLACED), editions={OLD: "old", NEW: "new"})
    return replace(known, **more)  # type: ignore[arg-type]


def held(since: datetime, until: datetime | None, *scope: str) -> World:
    route, model, stage = (*scope, "", "", "")[:3]
    begun = replace(CHAMPION, journal=(*CHAMPION.journal[:1], BEGAN, *CHAMPION.journal[2:]))
    return with_bundles(begun, holds=(Hold((route, model, stage), since, until),))


BROKEN = {
    f"unsafe: {SECOND} entered prod at {NOON} under the hold": held(NOON - MINUTE, None),
    "lost: alice's request 'an audit' (set) was answered as done, and is not noted": with_bundles(holds_set=(ASKED,)),
    "lost: alice's request 'an audit' (set) was answered as nothing, and is noted 1 times": with_bundles(
        holds_set=(replace(ASKED, answer=Answer.NOTHING),), noted_holds=("an audit",)
    ),
    "lost: bundle bbbbbbbbbbbb was published (it is better), and is not listed": with_bundles(
        published=((PUBLISHED, NEW),)
    ),
    "lost: bundle bbbbbbbbbbbb (it is better: none) is listed 2 times": with_bundles(
        published=((replace(PUBLISHED, answer=Answer.NONE), NEW),), publications=((NEW, "it is better"),) * 2
    ),
    f"disagreeing: {SECOND} names bundle {FOREIGN}, which nobody published": with_bundles(
        replace(CHAMPION, bundle=FOREIGN), endpoints=(replace(ENDPOINT, edition=None),)
    ),
    f"disagreeing: a command in steps-prod names bundle {FOREIGN}, which nobody published": with_bundles(
        queues=(Queue("steps-prod", bundles=frozenset({OLD, FOREIGN})),)
    ),
    f"disagreeing: prod/straight-1 answers with the code of new, and {SECOND} was": with_bundles(
        endpoints=(replace(ENDPOINT, edition="new"),)
    ),
}


def test_where_all_is_well_nothing_is_reported() -> None:
    assert violations(with_bundles()) == []


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    (found,) = violations(BROKEN[text])
    assert str(found).startswith(text)


@pytest.mark.parametrize(
    "world",
    [
        held(NOON - timedelta(seconds=2), None),
        held(NOON - MINUTE, NOON - timedelta(seconds=1)),
        held(NOON - MINUTE, None, "other"),
        held(NOON - MINUTE, None, "straight", "straight-2"),
        held(NOON - MINUTE, None, "straight", "", "test"),
    ],
    ids=["it was being decided", "it was over", "another route", "another model", "another stage"],
)
def test_what_was_not_held_may_begin(world: World) -> None:
    assert violations(world) == []


def test_a_stage_runs_the_bundle_that_it_was_deployed_from_whatever_a_retry_took_later() -> None:
    def deployed(stage: str) -> Line:
        return Line("step-succeeded", "done", stage, "deploy")

    said = f"alice: why; with the files of bundle {NEW[:12]} instead of {OLD[:12]}"
    journal = (deployed("test"), Line("retried", said), deployed("prod"))
    promotion = replace(CHAMPION, bundle=NEW, journal=journal)
    assert NEW.startswith(deployed_from(promotion, "prod"))
    assert OLD.startswith(deployed_from(promotion, "test"))
    assert deployed_from(replace(promotion, journal=()), "test") == NEW


@pytest.mark.parametrize(
    "scope",
    [
        ("", "", ""),
        ("chaos/straight", "", ""),
        ("chaos/straight", "straight-1", ""),
        ("chaos/straight", "straight-1", "prod"),
        ("chaos/straight", "", "prod"),
    ],
)
def test_a_scope_is_read_as_it_is_written(scope: Scope) -> None:
    assert read(written(scope)) == scope


def test_each_edition_is_another_bundle() -> None:
    first, second = files_of("edition-1"), files_of("edition-2")
    assert {name for name in first if first[name] != second[name]} == {"scoring/score.py"}
    assert bundle.digest_of(first) != bundle.digest_of(second)
