"""Delivers the events of one subscription: handshake first, then requests side by side, retries, dead letters."""

import asyncio
import io
import itertools
import json
import logging
import time
from collections.abc import Iterator, Sequence

import aiohttp

from localcloud.eventgrid.configuration import Subscription
from localcloud.eventgrid.dead_letters import DeadLetters
from localcloud.eventgrid.events import Event, Schema
from localcloud.eventgrid.handshake import ORIGIN, Handshake
from localcloud.eventgrid.retries import ANSWER_WITHIN, NOT_REACHED, TIMED_OUT, Outcome, pause_after, reason_to_give_up
from localcloud.eventgrid.store import Delivery, DeliveryStore

#: How many events are read from the store at a time.
_LOADED_AT_ONCE = 1000

_log = logging.getLogger(__name__)


class SubscriptionDelivery:
    """Delivers the events of one subscription at least once, in no guaranteed order."""

    def __init__(
        self,
        subscription: Subscription,
        handshake: Handshake,
        store: DeliveryStore,
        dead_letters: DeadLetters,
        retry_pauses: Sequence[float],
    ) -> None:
        self.subscription = subscription
        self.handshake = handshake
        self._store = store
        self._dead_letters = dead_letters
        self._retry_pauses = retry_pauses
        self._under_way: dict[int, Delivery] = {}
        self._requests = 0
        self._wake = asyncio.Event()

    def wants(self, event: Event) -> bool:
        """Whether the event passes the subscription's filters; subjects are compared without regard to case."""
        wanted = self.subscription
        if wanted.included_event_types and event.type not in wanted.included_event_types:
            return False
        subject = event.subject.lower()
        return subject.startswith(wanted.subject_begins_with.lower()) and subject.endswith(
            wanted.subject_ends_with.lower()
        )

    def wake(self) -> None:
        """Checks immediately whether there is something to deliver."""
        self._wake.set()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Delivers until cancelled. Requests under way are then dropped and made again after the next start."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._validate(session))
            while True:
                self._wake.clear()
                now = time.time()
                self._give_up_expired(now)
                if self.handshake.done:
                    for batch in self._due_batches(now):
                        self._requests += 1
                        self._under_way.update({delivery.id: delivery for delivery in batch})
                        tasks.create_task(self._deliver(session, batch))
                await self._work_to_do(now)

    async def _validate(self, session: aiohttp.ClientSession) -> None:
        await self.handshake.run(session)
        self.wake()

    async def _work_to_do(self, now: float) -> None:
        """Returns when woken, or when the next delivery is due or expires."""
        name = self.subscription.name
        times = [self._store.next_time(name, "expires", self._under_way)]
        if self.handshake.done and self._free_requests():
            times.append(self._store.next_time(name, "due", self._under_way))
        next_time = min((moment for moment in times if moment is not None), default=None)
        try:
            async with asyncio.timeout(None if next_time is None else max(0.0, next_time - now)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _free_requests(self) -> int:
        return self.subscription.concurrent_deliveries - self._requests

    def _due_batches(self, now: float) -> list[list[Delivery]]:
        """What to send now, in requests of the subscription's batch size, as many as may start."""
        free = self._free_requests()
        if not free:
            return []
        limit = min(free * self.subscription.max_events_per_batch, _LOADED_AT_ONCE)
        due = self._store.due(self.subscription.name, now, limit=limit, without=self._under_way)
        return list(itertools.islice(self._batches(due), free))

    def _batches(self, deliveries: list[Delivery]) -> Iterator[list[Delivery]]:
        """Events share a request only after the same number of attempts, since `aeg-delivery-count` holds for all of
        them.
        """
        largest = self.subscription.preferred_batch_size_in_kilobytes * 1024
        ordered = sorted(deliveries, key=lambda delivery: delivery.attempts)
        for _, alike in itertools.groupby(ordered, key=lambda delivery: delivery.attempts):
            batch: list[Delivery] = []
            for delivery in alike:
                full = len(batch) == self.subscription.max_events_per_batch
                if batch and (full or sum(one.size for one in batch) + delivery.size > largest):
                    yield batch
                    batch = []
                batch.append(delivery)
            yield batch

    async def _deliver(self, session: aiohttp.ClientSession, batch: list[Delivery]) -> None:
        try:
            outcome = await self._post(session, batch)
            if outcome.delivered:
                self._store.remove(batch)
            else:
                self._try_again_or_give_up(batch, outcome)
        finally:
            self._requests -= 1
            for delivery in batch:
                del self._under_way[delivery.id]
            self.wake()

    async def _post(self, session: aiohttp.ClientSession, batch: list[Delivery]) -> Outcome:
        schema = self.subscription.schema_
        events = [delivery.event.rendered(schema) for delivery in batch]
        headers = {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": self.subscription.name.upper(),
            "aeg-delivery-count": str(batch[0].attempts),
        }
        content: object = events
        if schema is Schema.EVENT_GRID:
            headers["Content-Type"] = "application/json; charset=utf-8"
            headers["aeg-data-version"] = str(events[0]["dataVersion"])
            headers["aeg-metadata-version"] = "1"
        elif self.subscription.max_events_per_batch == 1:
            headers["Content-Type"] = "application/cloudevents+json; charset=utf-8"
            headers["WebHook-Request-Origin"] = ORIGIN
            content = events[0]
        else:
            headers["Content-Type"] = "application/cloudevents-batch+json; charset=utf-8"
            headers["WebHook-Request-Origin"] = ORIGIN
        try:
            async with (
                asyncio.timeout(ANSWER_WITHIN),
                session.post(
                    self.subscription.endpoint, data=io.BytesIO(json.dumps(content).encode()), headers=headers
                ) as answer,
            ):
                return Outcome.of_status(answer.status)
        except TimeoutError:
            return TIMED_OUT
        except aiohttp.ClientError:
            return NOT_REACHED

    def _try_again_or_give_up(self, batch: list[Delivery], outcome: Outcome) -> None:
        now = time.time()
        attempts = batch[0].attempts + 1
        reason = reason_to_give_up(outcome, attempts=attempts, max_attempts=self.subscription.max_delivery_attempts)
        due = now + pause_after(attempts, self._retry_pauses)
        # Recorded first, so that a dead letter includes this attempt.
        failed = [delivery.after_attempt(outcome, now) for delivery in batch]
        self._store.postpone(failed, due)
        _log.warning(
            "subscription %s: attempt %d for %d event(s) failed: %s; %s",
            self.subscription.name,
            attempts,
            len(batch),
            outcome.name,
            reason or f"next in {due - now:.1f} s",
        )
        if reason is not None:
            self._give_up([(delivery, reason) for delivery in failed])

    def _give_up_expired(self, now: float) -> None:
        name = self.subscription.name
        while expired := self._store.expired(name, now, limit=_LOADED_AT_ONCE, without=self._under_way):
            self._give_up([(delivery, "TimeToLiveExceeded") for delivery in expired])

    def _give_up(self, deliveries: list[tuple[Delivery, str]]) -> None:
        self._dead_letters.write(self.subscription.name, self.subscription.schema_, deliveries)
        self._store.remove([delivery for delivery, _ in deliveries])
