"""Simulates a team that publishes its routes, each time with another edition of the scoring code, and goes back."""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mlpromote.client import NoAnswerError
from shared.config import bundle
from shared.config.bundle import CONFIGURATION
from tests.chaos.api import Api
from tests.chaos.requests import Requests
from tests.chaos.world import Answer, Request

SOURCE, PUBLISHER = "chaos", "paul"
FOLDER = Path(__file__).with_name("team")
#: How many of a hundred bundles have scoring code that cannot be loaded.
BROKEN = 12
#: Seconds in which one that must be there is published: hosts may still be starting.
PUBLISHED_WITHIN = 180.0
#: How often a pipeline runs again, and what replaces it so that everything can come to rest.
SCHEDULE, NO_SCHEDULE = b"every: 30s", b"every: 365d"


class Team:
    """Publishes bundles, and remembers what the app has answered."""

    def __init__(self, api: Api, chance: random.Random, requests: Requests) -> None:
        self._api = api
        self._chance = chance
        self._requests = requests
        #: Editions by digest, of the bundles that the app was asked to publish.
        self.editions: dict[str, str] = {}
        #: The requests, each with the digest.
        self.published: list[tuple[Request, str]] = []
        #: From when and until when the schedules were published.
        self.scheduled: list[tuple[datetime, datetime]] = []
        self._scheduled_since: datetime | None = None
        #: Digests of bundles without schedules.
        self._quiet: set[str] = set()

    async def publish(self) -> bool:
        """Publish a new edition; whether that was done."""
        broken = self._chance.randrange(100) < BROKEN and self.published
        return await self._publish(f"{'broken' if broken else 'edition'}-{self._requests.number:06}")

    async def publish_working(self, is_quiet: bool = False) -> None:
        """The same until it was done, with scoring code that works, while nothing is killed. `is_quiet`: without
        schedules, so that everything comes to rest."""
        deadline = time.monotonic() + PUBLISHED_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(NoAnswerError):
                if self._scheduled_since is not None and is_quiet:
                    self.scheduled.append((self._scheduled_since, datetime.now(UTC)))
                    self._scheduled_since = None
                if await self._publish(f"edition-{self._requests.number:06}", is_quiet):
                    self._scheduled_since = None if is_quiet else datetime.now(UTC)
                    return
            await asyncio.sleep(1)
        raise AssertionError(f"no bundle was published within {PUBLISHED_WITHIN:g} s")

    async def go_back(self) -> None:
        """Publish an earlier one again, with schedules."""
        history = await self.history()
        earlier = sorted({digest for digest, _ in history} - {history[0][0], *self._quiet})
        if earlier:
            await self._point_to(self._chance.choice(earlier), history[0][0])

    async def history(self) -> list[tuple[str, str]]:
        """The digest and the reason of each publication, the newest first."""
        shown = await self._api.get(f"sources/{SOURCE}")
        return [(each["digest"], each["reason"]) for each in shown["history"]]

    async def _publish(self, edition: str, is_quiet: bool = False) -> bool:
        files = files_of(edition, is_quiet)
        digest = bundle.digest_of(files)
        history = await self.history()
        status, _ = await self._api.put(f"sources/{SOURCE}/bundles/{digest}", PUBLISHER, bundle.archived(files))
        if status != 200:
            return False
        self.editions[digest] = edition
        if is_quiet:
            self._quiet.add(digest)
        return await self._point_to(digest, history[0][0] if history else None)

    async def _point_to(self, digest: str, expected: str | None) -> bool:
        reason = self._requests.reason
        body = {"digest": digest, "expected": expected, "reason": reason}
        try:
            status, _ = await self._api.post(f"sources/{SOURCE}/publish", PUBLISHER, body)
            answer = Answer.DONE if status == 200 else Answer.NOTHING
        except NoAnswerError:
            answer = Answer.NONE
        asked = Request("published", PUBLISHER, reason, answer)
        self.published.append((asked, digest))
        self._requests.log(asked, f"{self.editions[digest]}, bundle {digest[:12]}")
        return answer is Answer.DONE


def files_of(edition: str, is_quiet: bool = False) -> Mapping[str, bytes]:
    """The team's files with an edition of the scoring code. `is_quiet`: without schedules."""
    files = [file for file in FOLDER.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    found = {file.relative_to(FOLDER).as_posix(): file.read_bytes() for file in files}
    score = found["scoring/score.py"]
    assert b'"none"' in score
    routes = found[CONFIGURATION]
    assert SCHEDULE in routes
    return {
        **found,
        "scoring/score.py": score.replace(b'"none"', f'"{edition}"'.encode()),
        CONFIGURATION: routes.replace(SCHEDULE, NO_SCHEDULE) if is_quiet else routes,
    }
