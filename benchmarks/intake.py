"""Compares notifications through the webhook to the queue with bare sends of the same messages by the SDK."""

import asyncio
import json
import os
import uuid
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from benchmarks.children import answer_of
from benchmarks.cloud import APPS, running_cloud
from benchmarks.figures import BenchmarkError, Comparison, Finding, Target
from benchmarks.progress import Progress
from localcloud.up import LocalCloud
from localcloud.up.kept_secrets import write_private
from shared.coordinator import notifications
from shared.core.message_bodies import encode

ROUNDS = 3
NOTIFICATIONS = 2500
CONNECTIONS = 64
TARGET = Target(0.7, at_least=True)

QUEUE = "promotion-events"
#: The number of threads in the Functions runtime: the default of ThreadPoolExecutor.
THREADS = min(32, (os.cpu_count() or 1) + 4)


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    ours, shared_sender, own_senders = [], [], []
    async with running_cloud(folder / "cloud", APPS / "intake", {}) as cloud:
        sides = Sides(cloud, folder)
        for done in range(-1, ROUNDS):
            count = NOTIFICATIONS if done >= 0 else NOTIFICATIONS // 10  # the first round only warms up
            progress(max(done, 0), ROUNDS, "bare sends")
            bare = await sides.bare(f"bare{done}", count, senders=1)
            progress(max(done, 0) + 0.4, ROUNDS, "notifications through the webhook")
            through = await sides.webhook(f"ours{done}", count)
            progress(max(done, 0) + 0.8, ROUNDS, "bare sends, a sender per thread")
            parallel = await sides.bare(f"parallel{done}", count, senders=THREADS)
            if done >= 0:
                shared_sender.append(bare)
                ours.append(through)
                own_senders.append(parallel)
    ours_is = f"HTTP requests of one event each, {CONNECTIONS} in flight, until answered; only `take_events` runs"
    one_by_one = "send_messages(message) for each, one by one, over"
    return [
        Comparison(
            "intake",
            ours,
            shared_sender,
            ours_is,
            f"{one_by_one} one sender, which {THREADS} threads share with a lock as in the app",
            "per second",
            TARGET,
        ),
        Comparison(
            "intake, for information",
            ours,
            own_senders,
            "the same",
            f"{one_by_one} {THREADS} senders, one per thread",
            "per second",
            None,
        ),
    ]


class Sides:
    """Both ways into one queue, each in its own process. Each returns its rate per second."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self._webhook = cloud.layout.webhook
        self._connection_string = cloud.layout.connection_string
        self._workspace = cloud.layout.workspace_ids["dev"]
        self._folder = folder

    async def webhook(self, model: str, count: int) -> float:
        bodies = [json.dumps([event]) for event in self._events(model, count)]
        asked = {"url": self._webhook, "connections": CONNECTIONS, "bodies": bodies}
        return await self._rate("benchmarks.event_posts", asked, count)

    async def bare(self, model: str, count: int, senders: int) -> float:
        messages = []
        for event in self._events(model, count):
            news = notifications.read(event["topic"], event["eventType"], event["data"])
            assert news is not None
            one = {"body": encode(news).decode(), "message_id": news.message_id, "subject": type(news).__name__}
            messages.append(one)
        asked = {
            "connection_string": self._connection_string,
            "queue": QUEUE,
            "threads": THREADS,
            "senders": senders,
            "messages": messages,
        }
        return await self._rate("benchmarks.bare_sends", asked, count)

    def _events(self, model: str, count: int) -> list[dict[str, Any]]:
        """ModelRegistered events in the Event Grid schema, as a workspace raises them, one per version."""
        return [
            {
                "id": str(uuid.uuid4()),
                "topic": self._workspace,
                "subject": f"models/{model}:{version}",
                "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
                "eventTime": "2026-01-01T00:00:00.0000000Z",
                "dataVersion": "2",
                "metadataVersion": "1",
                "data": {
                    "ModelName": model,
                    "ModelVersion": str(version),
                    "ModelTags": {"promote": "true"},
                    "ModelProperties": {},
                },
            }
            for version in range(1, count + 1)
        ]

    async def _rate(self, module: str, asked: dict[str, Any], count: int) -> float:
        file = self._folder / "asked.json"
        write_private(file, json.dumps(asked))  # it holds keys
        seconds: float = await answer_of(module, [str(file)], self._folder / f"{module}.log")
        arrived = await asyncio.to_thread(self._emptied)
        if arrived != count:
            raise BenchmarkError(f"{module}: {count} were sent, {arrived} arrived in the queue")
        return count / seconds

    def _emptied(self) -> int:
        """Empty the queue, and return how many messages were in it."""
        found = 0
        with (
            ServiceBusClient.from_connection_string(self._connection_string) as client,
            client.get_queue_receiver(QUEUE, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver,
        ):
            while messages := receiver.receive_messages(1000, max_wait_time=0.5):
                found += len(messages)
        return found
