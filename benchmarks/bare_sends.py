"""Sends messages with the bare SDK, one by one, from threads that share one sender or have one each.

Reads `{"connection_string", "queue", "threads", "senders", "messages"}` from the named file, and prints the seconds
that it took. The SDK's senders are not thread-safe, so threads that share one take turns.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage


def send_all(asked: dict[str, Any]) -> float:
    """The seconds from the first send to the broker's last answer, without connecting."""
    messages = [(one["body"].encode(), one["message_id"], one["subject"]) for one in asked["messages"]]
    with ExitStack() as open_now:
        client = open_now.enter_context(ServiceBusClient.from_connection_string(asked["connection_string"]))
        senders = [
            (open_now.enter_context(client.get_queue_sender(asked["queue"])), Lock()) for _ in range(asked["senders"])
        ]

        def send(number: int) -> None:
            body, message_id, subject = messages[number]
            sender, lock = senders[number % len(senders)]
            message = ServiceBusMessage(body, message_id=message_id, subject=subject, content_type="application/json")
            with lock:
                sender.send_messages(message)

        began = time.perf_counter()
        with ThreadPoolExecutor(asked["threads"]) as threads:
            list(threads.map(send, range(len(messages))))
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send_all(json.loads(Path(sys.argv[1]).read_text()))) + "\n")
