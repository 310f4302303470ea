"""Ids: no two things share one, and none is longer than Service Bus accepts."""

from shared.core.commands import due
from shared.core.lane import decide
from shared.core.messages import LONGEST_MESSAGE_ID, Candidate, Kind, LaneKey
from shared.core.promotion import Lane
from shared.core.promotion_ids import lane_digest, lane_digest_of, promotion_id
from shared.core.replacing import replace
from tests.core.world import KEY, NOW, answer, requested

A_MILLION = 1_000_000


def of_version(version: str) -> str:
    return promotion_id(KEY, Candidate(Kind.MODEL, KEY.model, version, "dev", "/subscriptions/d/workspaces/ws-dev"))


def test_no_two_of_a_million_versions_share_an_id() -> None:
    """Their names begin alike, so that only the digest tells them apart. With 24 bits some 30,000 would collide."""
    assert len({of_version(f"2026.12.31.{number:07}") for number in range(A_MILLION)}) == A_MILLION


def test_two_versions_that_once_shared_an_id_do_not() -> None:
    assert of_version("2026.12.31.04679") != of_version("2026.12.31.06899")


def test_an_id_tells_its_lane() -> None:
    assert lane_digest_of(of_version("7")) == lane_digest(KEY)
    assert lane_digest_of("something-else") is None


def test_message_ids_stay_within_the_limit_and_differ() -> None:
    """With the longest names that a configuration may have."""
    asked = requested("1" * 200, stages={"s" * 50: ()})
    (command,) = due(decide(Lane(LaneKey("r" * 50, "m" * 255)), asked, NOW).lane)
    ids = {
        each.message_id
        for poll in range(1, 2000)
        for one in [replace(command, promotion="p" * 72, poll=poll)]
        for each in (one, answer(one))
    }
    assert len(ids) == 2 * 1999
    assert max(map(len, ids)) <= LONGEST_MESSAGE_ID
