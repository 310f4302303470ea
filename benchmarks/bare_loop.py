"""Only sends, receives and completes the messages of promotions with the SDK: each message received sends the next one.

Reads `{"connection_string", "queues", "messages_at_once", "chains"}` from the file that is named, where a chain is the
messages of one promotion in their order, and answers with the seconds that it took. A thread per queue, as a function
app has a listener per queue, each with its own connection.
"""

import json
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage


class Loop:
    """One run over all chains."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._first = [chain[0] for chain in asked["chains"]]
        self._following = {
            one["message_id"]: following for chain in asked["chains"] for one, following in pairwise(chain)
        }
        self._left = sum(len(chain) for chain in asked["chains"])
        self._lock = Lock()
        self._done = Event()
        self._errors: list[BaseException] = []

    def run(self) -> float:
        """The seconds from the first send to the last completing; connecting is not among them."""
        ready = [Event() for _ in self._asked["queues"]]
        threads = [
            Thread(target=self._guarded, args=(queue, event))
            for queue, event in zip(self._asked["queues"], ready, strict=True)
        ]
        for thread in threads:
            thread.start()
        for event in ready:
            event.wait()
        with self._client() as client, client.get_queue_sender(self._first[0]["queue"]) as sender:
            began = time.perf_counter()
            for one in self._first:
                sender.send_messages(message_of(one))
            self._done.wait()
            seconds = time.perf_counter() - began
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return seconds

    def _guarded(self, queue: str, ready: Event) -> None:
        try:
            self._serve(queue, ready)
        except BaseException as error:
            self._errors.append(error)
            self._done.set()
            raise
        finally:
            ready.set()

    def _serve(self, queue: str, ready: Event) -> None:
        with ExitStack() as open_now:
            client = open_now.enter_context(self._client())
            receiver = open_now.enter_context(client.get_queue_receiver(queue))
            senders = {name: open_now.enter_context(client.get_queue_sender(name)) for name in self._asked["queues"]}
            ready.set()
            while not self._done.is_set():
                for received in receiver.receive_messages(self._asked["messages_at_once"], max_wait_time=0.2):
                    following = self._following.get(str(received.message_id))
                    if following is not None:
                        senders[following["queue"]].send_messages(message_of(following))
                    receiver.complete_message(received)
                    self._count()

    def _client(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self._asked["connection_string"])

    def _count(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._done.set()


def message_of(one: dict[str, str]) -> ServiceBusMessage:
    return ServiceBusMessage(
        one["body"].encode(), message_id=one["message_id"], subject=one["subject"], content_type="application/json"
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Loop(json.loads(Path(sys.argv[1]).read_text())).run()) + "\n")
