"""Keeps what this version writes, for later versions to read: `python -m tests.upgrade.keep version-2`.

Run it when a release has changed messages or documents, and never write a kept file anew.
"""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.cloud.documents import lane_document, promotion_document
from shared.core.commands import due
from shared.core.events import Approved, Person
from shared.core.lane import decide
from shared.core.message_bodies import encode
from shared.core.messages import FindRegistrations, JobEnded, ModelRegistered, Retry, Running
from shared.core.promotion import Lane
from tests.core.driver import AzureAnswers, LaneDriver, drive
from tests.core.people import ANNA, BERT, OPERATOR, TWO_OF_THEM, asking
from tests.core.world import BROKEN, KEY, NOW, TEST_THEN_PROD, Azure, answer, requested

FOLDER = Path(__file__).parent


def kept_messages() -> Iterator[str]:
    """One of each kind that does not belong to a promotion, and each outcome."""
    yield encode(
        ModelRegistered("/subscriptions/d/workspaces/ws-dev", "churn-eu", "7", {"a": "b"}, "event-grid")
    ).decode()
    yield encode(
        JobEnded("/subscriptions/d/workspaces/ws-dev", "job", "training", "Completed", {}, "event-grid")
    ).decode()
    yield encode(FindRegistrations("dev", NOW, NOW)).decode()
    command = due(decide(Lane(KEY), requested("1"), NOW).lane)[0]
    for outcome in (None, BROKEN, Running(timedelta(seconds=20), "updating"), Retry(timedelta(seconds=5), "429")):
        yield encode(answer(command, outcome)).decode()


def kept_lanes() -> Iterator[dict[str, Any]]:
    """A promotion with a champion before it and people who approve, at every moment of its life."""
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    champions = Lane(KEY, lane.champions, lane.holds)
    request = asking("2", TWO_OF_THEM, requester=OPERATOR.id, **TEST_THEN_PROD)
    driver = LaneDriver(decide(champions, request, NOW).lane, AzureAnswers(azure))
    while driver.lane.promotions[0].under_way:
        yield from (_kept(driver.lane) for _ in driver.moments())
        yield _kept(driver.lane)
        if driver.lane.promotions[0].under_way:
            driver.lane = approved(driver.lane, ANNA)
            yield _kept(driver.lane)
            driver.lane = approved(driver.lane, BERT)


def approved(lane: Lane, by: Person) -> Lane:
    """The lane after somebody has approved its only promotion."""
    return decide(lane, Approved(KEY, lane.promotions[0].id, by, "seen"), NOW).lane


def _kept(lane: Lane) -> dict[str, Any]:
    return {
        "lane": json.loads(lane_document(lane)),
        "promotions": [json.loads(promotion_document(promotion)) for promotion in lane.promotions],
        "commands": [encode(command).decode() for command in due(lane)],
    }


def main(name: str) -> None:
    """Write the file; refuses to write it anew."""
    content = {"messages": list(kept_messages()), "lanes": list(kept_lanes())}
    with (FOLDER / f"{name}.json").open("x", encoding="utf-8") as file:
        json.dump(content, file, separators=(",", ":"), ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
