"""Compares promotions, with an Azure ML that answers at once, with a loop that only forwards the same messages."""

import asyncio
import itertools
import json
import time
from datetime import datetime
from pathlib import Path

from azure.servicebus import ServiceBusClient

from benchmarks import at_once, recorded
from benchmarks.bare_loop import message_of
from benchmarks.children import REPOSITORY, answer_of
from benchmarks.cloud import APPS, running_cloud
from benchmarks.figures import BenchmarkError, Comparison, Finding, Target
from benchmarks.progress import Progress
from localcloud.up import LocalCloud
from localcloud.up.description import Queue
from localcloud.up.kept_secrets import write_private
from shared.cloud.sqlite import SqliteStore
from shared.core.promotion import PromotionStatus
from shared.core.queues import EVENTS_QUEUE, all_queues
from shared.ports import PromotionFilter

ROUNDS = 8  # of a second and a half each, so single ones differ by a tenth
PROMOTIONS = 48
MESSAGES_AT_ONCE = 16  # as in the app's host.json
#: The functions only compute, since nothing waits. Threads would then compete, so there are more processes and fewer
#: concurrent calls, as Microsoft advises ("Improve throughput performance of Python apps in Azure Functions"): the
#: host.json of this app allows each function one call in each process. As nothing waits, up to four messages of each
#: are prefetched, as the bare loop receives several at once. The app's own host.json does neither.
WORKER_PROCESSES = 3
TARGET = Target(0.7, at_least=True)
#: DBOS 3.4 on SQLite, which makes steps durable in one process, without a broker.
PEER = REPOSITORY / ".venv-peer" / "bin" / "python"
PEER_TARGET = Target(1.0, at_least=True)

QUEUES = tuple(Queue(name=name) for name in all_queues(("dev", "test", "prod")))
#: The bare loop has its own queues: the app's listeners would take its messages from the others.
BARE = "bare-"
OWN_QUEUES = tuple(Queue(name=BARE + queue.name) for queue in QUEUES)

#: Limit for one round in seconds.
_LONGEST = 120.0
#: Seconds between polls. They take time from what is measured, so they read one promotion while any is under way.
_LOOK_AGAIN = 0.5
_UNDER_WAY = (PromotionStatus.QUEUED, PromotionStatus.RUNNING)


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    series = [str(number) for number in range(ROUNDS + 1)]  # the first one only warms up
    models = {name: at_once.model_names(name, PROMOTIONS) for name in series}
    app = APPS / "at_once"
    settings = {
        "MLPROMOTE_CONFIGURATION": "benchmarks/apps/at_once/promotion.yml",
        "MLPROMOTE_STORE": str(folder / "promotions.sqlite"),
        "BENCHMARK_MODELS": json.dumps(list(itertools.chain(*models.values()))),
        "FUNCTIONS_WORKER_PROCESS_COUNT": str(WORKER_PROCESSES),
    }
    ours, bare, peer = [], [], []
    cloud_at = running_cloud(
        folder / "cloud", app, _literal(settings), queues=QUEUES + OWN_QUEUES, event_subscriptions=None
    )
    async with cloud_at as cloud:
        chains = await asyncio.to_thread(
            recorded.chains, cloud.layout.app_settings(), folder / "recorded.sqlite", models["0"]
        )
        steps = sum(one["subject"] == "StepReported" for chain in chains for one in chain)
        for number, name in enumerate(series):
            progress(number, len(series), f"{PROMOTIONS} promotions through the app")
            through_app = await _promote(cloud, folder, [_renamed(chain[0], name) for chain in chains])
            progress(number + 0.5, len(series), "the same messages in a bare loop")
            loop = await _bare(cloud, folder, chains, name)
            progress(number + 0.8, len(series), "the same steps as workflows of DBOS")
            workflows = await _peer(folder, chains, steps)
            if number:
                ours.append(steps / through_app)
                bare.append(steps / loop)
                peer.append(steps / workflows)
    each = f"the same {len(chains[0])} messages per promotion"
    return [
        Comparison(
            "steps",
            ours,
            bare,
            f"{PROMOTIONS} promotions on as many lanes, through two stages with {steps // PROMOTIONS} steps, in the "
            f"local host with {WORKER_PROCESSES} worker processes, as many calls of a function at once and prefetched "
            "messages; Azure ML in memory, no waiting",
            f"one loop in one thread that receives up to {MESSAGES_AT_ONCE}, sends the next ones and completes: {each}",
            "per second",
            TARGET,
        ),
        Comparison(
            "steps, beside a peer",
            ours,
            peer,
            "the same promotions; each step crosses the broker twice",
            f"DBOS 3.4 on SQLite: {PROMOTIONS} workflows of as many steps in one process, with the same evidence",
            "per second",
            PEER_TARGET,
        ),
    ]


def _literal(settings: dict[str, str]) -> dict[str, str]:
    """The settings escaped for a local cloud, in which braces have a meaning."""
    return {name: text.replace("{", "{{").replace("}", "}}") for name, text in settings.items()}


def _renamed(one: recorded.Recorded, series: str) -> recorded.Recorded:
    """The same message for another model's promotion."""
    body = one["body"].replace("model-0-", f"model-{series}-")
    return {**one, "body": body, "message_id": f"{one['message_id']}:{series}"}


async def _bare(cloud: LocalCloud, folder: Path, chains: list[list[recorded.Recorded]], series: str) -> float:
    def for_loop(one: recorded.Recorded) -> recorded.Recorded:
        return _renamed({**one, "queue": BARE + one["queue"]}, f"{series}-bare")

    asked = {
        "connection_string": cloud.layout.connection_string,
        "messages_at_once": MESSAGES_AT_ONCE,
        "chains": [[for_loop(one) for one in chain] for chain in chains],
    }
    file = folder / "asked.json"
    write_private(file, json.dumps(asked))  # it holds keys
    seconds: float = await answer_of("benchmarks.bare_loop", [str(file)], folder / "bare_loop.log")
    return seconds


async def _peer(folder: Path, chains: list[list[recorded.Recorded]], steps: int) -> float:
    """The seconds of one round in a process that has warmed up. Raises `BenchmarkError` where the peer is missing."""
    if not PEER.exists():
        raise BenchmarkError("There is no .venv-peer: run make bench, which installs it.")
    report = next(one for one in chains[0] if one["subject"] == "StepReported")
    (folder / "peer.sqlite").unlink(missing_ok=True)
    asked = {
        "database": str(folder / "peer.sqlite"),
        "rounds": 2,
        "promotions": len(chains),
        "steps": steps // len(chains),
        "evidence": json.loads(report["body"])["content"]["outcome"]["evidence"],
    }
    file = folder / "asked_of_peer.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    seconds: list[float] = await answer_of("benchmarks.dbos_steps", [str(file)], folder / "peer.log", python=PEER)
    return seconds[-1]


async def _promote(cloud: LocalCloud, folder: Path, first: list[recorded.Recorded]) -> float:
    """The seconds from the first send to the end of the last promotion."""
    began = await asyncio.to_thread(_send, cloud.layout.connection_string, first)
    store = SqliteStore(folder / "promotions.sqlite")
    while True:
        await asyncio.sleep(_LOOK_AGAIN)
        if not any(store.promotions(PromotionFilter(status=status), 1, None).promotions for status in _UNDER_WAY):
            page = store.promotions(PromotionFilter(), len(first), None)  # the newest come first
            new = [one for one in page.promotions if one.created.timestamp() >= began]
            if len(new) == len(first) and not any(one.under_way for one in new):
                break
        if time.time() - began > _LONGEST:
            raise BenchmarkError(f"{len(first)} promotions had not ended after {_LONGEST:g} s: see {folder}")
    failed = [one for one in new if one.status is not PromotionStatus.SUCCEEDED]
    if failed:
        raise BenchmarkError(f"promotion {failed[0].id} {failed[0].status}: {failed[0].reason}")
    last: datetime = max(one.updated for one in new)
    return last.timestamp() - began


def _send(connection_string: str, messages: list[recorded.Recorded]) -> float:
    """Send, and return when the first message was sent. Excludes connecting, which takes half a second and belongs to
    neither side."""
    with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_sender(EVENTS_QUEUE) as sender,
    ):
        began = time.time()
        for one in messages:
            sender.send_messages(message_of(one))
    return began
