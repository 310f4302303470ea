"""Only sends, receives and completes the messages of promotions with the SDK: each message received sends the next one.

Reads `{"connection_string", "messages_at_once", "chains", "client"}` from the file that is named, where a chain is the
messages of one promotion in their order. `client` is `plain`, one loop in one thread over all queues, or `asyncio`, a
listener per queue as the local Functions host has. Answers with the seconds from the first send to the last completing;
connecting is not among them.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient

#: Seconds until a message must have come.
_PATIENCE = 10.0
#: Seconds that a listener waits before it looks whether all is done.
_LISTENING = 0.3

Chains = list[list[dict[str, str]]]


def message_of(one: dict[str, str]) -> ServiceBusMessage:
    return ServiceBusMessage(
        one["body"].encode(), message_id=one["message_id"], subject=one["subject"], content_type="application/json"
    )


def plain(asked: dict[str, Any]) -> float:
    """Takes from the queue in which the most messages wait, as many as are there at once."""
    chains: Chains = asked["chains"]
    following = _following(chains)
    waiting: Counter[str] = Counter()
    with ExitStack() as open_now:
        client = open_now.enter_context(ServiceBusClient.from_connection_string(asked["connection_string"]))
        queues = _queues(chains)
        senders = {name: open_now.enter_context(client.get_queue_sender(name)) for name in queues}
        receivers = {name: open_now.enter_context(client.get_queue_receiver(name)) for name in queues}

        def send(one: dict[str, str]) -> None:
            senders[one["queue"]].send_messages(message_of(one))
            waiting[one["queue"]] += 1

        began = time.perf_counter()
        for chain in chains:
            send(chain[0])
        while waiting.total():
            queue, count = waiting.most_common(1)[0]
            most = min(count, asked["messages_at_once"])
            received = receivers[queue].receive_messages(most, max_wait_time=_PATIENCE)
            if not received:
                raise TimeoutError(f"no message came from {queue} within {_PATIENCE:g} s")
            for message in received:
                if str(message.message_id) in following:
                    send(following[str(message.message_id)])
                receivers[queue].complete_message(message)
                waiting[queue] -= 1
        return time.perf_counter() - began


async def with_asyncio(asked: dict[str, Any]) -> float:
    """A listener per queue, each with its own connections, that takes one message after the other."""
    chains: Chains = asked["chains"]
    following = _following(chains)
    left = sum(map(len, chains))
    async with AsyncExitStack() as open_now:

        async def opened(context: Any) -> Any:
            return await open_now.enter_async_context(context)

        async def listener(queue: str) -> tuple[Any, dict[str, Any]]:
            client = await opened(AsyncServiceBusClient.from_connection_string(asked["connection_string"]))
            senders = {name: await opened(client.get_queue_sender(name)) for name in _queues(chains)}
            return await opened(client.get_queue_receiver(queue)), senders

        async def listen(receiver: Any, senders: dict[str, Any]) -> None:
            nonlocal left
            while left:
                for message in await receiver.receive_messages(1, max_wait_time=_LISTENING):
                    one = following.get(str(message.message_id))
                    if one is not None:
                        await senders[one["queue"]].send_messages(message_of(one))
                    await receiver.complete_message(message)
                    left -= 1
                    ends.append(time.perf_counter())

        ends: list[float] = []
        listeners = [await listener(queue) for queue in _queues(chains)]
        first = listeners[0][1][chains[0][0]["queue"]]
        began = time.perf_counter()
        for chain in chains:
            await first.send_messages(message_of(chain[0]))
        await asyncio.gather(*(listen(*each) for each in listeners))
        return max(ends) - began


def _following(chains: Chains) -> dict[str, dict[str, str]]:
    return {one["message_id"]: following for chain in chains for one, following in pairwise(chain)}


def _queues(chains: Chains) -> list[str]:
    return sorted({one["queue"] for chain in chains for one in chain})


def main(file: Path) -> None:
    asked = json.loads(file.read_text())
    seconds = plain(asked) if asked["client"] == "plain" else asyncio.run(with_asyncio(asked))
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
