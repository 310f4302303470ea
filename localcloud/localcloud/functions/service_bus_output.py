"""Output bindings of Service Bus: what a function returned or set goes to its queue or topic.

The real host reads text that looks like JSON as JSON: an array becomes one message per element, and an object is
written anew with line breaks (FunctionBinding.ReadAsEnumerable and BindAsyncCollectorAsync of azure-functions-host).
"""

import asyncio
import json
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.functions.definition import Binding, FunctionDefinition
from localcloud.functions.runtime import Datum, InvocationResult
from localcloud.functions.settings import replace_placeholders, service_bus_connection

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusSender


class OutputError(Exception):
    """An output could not be sent, so the invocation failed."""


class ServiceBusOutputs:
    """Sends outputs; a client per connection and a sender per entity are opened when first used and then kept."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._clients: dict[str, ServiceBusClient] = {}
        self._senders: dict[tuple[str, str], ServiceBusSender] = {}
        #: The SDK's senders are not thread-safe.
        self._sending = threading.Lock()

    async def send(self, definition: FunctionDefinition, result: InvocationResult) -> None:
        """Sends every Service Bus output of a succeeded invocation in its order; raises OutputError."""
        values = [*result.outputs, *([("$return", result.returned)] if result.returned is not None else [])]
        for name, datum in values:
            binding = definition.outputs.get(name)
            if binding is not None and binding.type == "serviceBus":
                await asyncio.to_thread(self._send_messages, binding, list(message_bodies(datum)))

    async def close(self) -> None:
        """Closes what was opened."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for sender in self._senders.values():
            sender.close()
        for client in self._clients.values():
            client.close()

    def _send_messages(self, binding: Binding, bodies: list[str | bytes]) -> None:
        from azure.servicebus import ServiceBusMessage
        from azure.servicebus.exceptions import ServiceBusError

        try:
            with self._sending:
                sender = self._sender(binding)
                for body in bodies:
                    sender.send_messages(ServiceBusMessage(body))
        except ServiceBusError as error:
            raise OutputError(f"The output '{binding.name}' could not be sent: {error}") from error

    def _sender(self, binding: Binding) -> "ServiceBusSender":
        connection = binding.properties.get("connection", "")
        queue, topic = binding.properties.get("queueName"), binding.properties.get("topicName")
        entity = replace_placeholders(queue or topic or "", self._settings)
        key = (connection, entity)
        if key not in self._senders:
            client = self._client(connection)
            self._senders[key] = client.get_queue_sender(entity) if queue else client.get_topic_sender(entity)
        return self._senders[key]

    def _client(self, connection: str) -> "ServiceBusClient":
        from localcloud.functions.service_bus_client import make_client

        if connection not in self._clients:
            self._clients[connection] = make_client(service_bus_connection(connection, self._settings))
        return self._clients[connection]


def message_bodies(datum: Datum) -> Iterable[str | bytes]:
    """The bodies of the messages that a value stands for; raises OutputError for text that only looks like JSON."""
    value = datum.value
    if value is None:
        return []
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, str):
        if not _looks_like_json(value):
            return [_encodable(value)]
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise OutputError(f"An output looks like JSON but is not valid JSON: {error}") from error
    return [_encodable(_text(element)) for element in (value if isinstance(value, list) else [value])]


def _encodable(text: str) -> str:
    """Replaces each half of a surrogate pair, which UTF-8 cannot encode, with U+FFFD, as .NET does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _looks_like_json(text: str) -> bool:
    trimmed = text.strip()
    return trimmed[:1] + trimmed[-1:] in ("{}", "[]")


def _text(value: Any) -> str:
    """A JSON value as Newtonsoft's ToString writes it."""
    if value is None:
        return ""
    if isinstance(value, str | bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False, indent=2)
