"""Only sends, receives and completes the messages of promotions with the SDK: each message received sends the next one.

Reads `{"connection_string", "messages_at_once", "chains"}` from the named file. A chain is the ordered messages of one
promotion; all chains run concurrently. Prints the seconds from the first send to the last completion, without
connecting.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage

#: Seconds within which a message must arrive.
_PATIENCE = 10.0

Chains = list[list[dict[str, str]]]


def message_of(one: dict[str, str]) -> ServiceBusMessage:
    return ServiceBusMessage(
        one["body"].encode(), message_id=one["message_id"], subject=one["subject"], content_type="application/json"
    )


def run(asked: dict[str, Any]) -> float:
    """Run in one thread, which receives from the queue with the most messages, several at once if possible."""
    chains: Chains = asked["chains"]
    following = {one["message_id"]: after for chain in chains for one, after in pairwise(chain)}
    queues = sorted({one["queue"] for chain in chains for one in chain})
    waiting: Counter[str] = Counter()
    with ExitStack() as open_now:
        client = open_now.enter_context(ServiceBusClient.from_connection_string(asked["connection_string"]))
        with ThreadPoolExecutor() as connecting:  # each takes half a second
            open_one: Callable[[Any], Any] = open_now.enter_context
            senders = dict(zip(queues, connecting.map(open_one, map(client.get_queue_sender, queues)), strict=True))
            receivers = dict(zip(queues, connecting.map(open_one, map(client.get_queue_receiver, queues)), strict=True))

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
                raise TimeoutError(f"no message arrived from {queue} within {_PATIENCE:g} s")
            for message in received:
                if str(message.message_id) in following:
                    send(following[str(message.message_id)])
                receivers[queue].complete_message(message)
                waiting[queue] -= 1
        return time.perf_counter() - began


def main(file: Path) -> None:
    sys.stdout.write(json.dumps(run(json.loads(file.read_text()))) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
