"""Where a Service Bus trigger listens."""

from dataclasses import dataclass

from azure.servicebus import ServiceBusClient, ServiceBusReceiver, ServiceBusSubQueue

_DEAD_LETTERS = "/$deadletterqueue"


@dataclass(frozen=True)
class Source:
    """A queue or a topic's subscription, or the dead letters of either."""

    entity: str
    subscription: str | None
    dead_letters: bool

    @classmethod
    def parse(cls, entity: str, subscription: str | None = None) -> "Source":
        """Reads the names of a binding, in which `/$DeadLetterQueue` at the end asks for the dead letters."""
        name = subscription or entity
        dead_letters = name.lower().endswith(_DEAD_LETTERS)
        if dead_letters:
            name = name[: -len(_DEAD_LETTERS)]
        return cls(entity, name, dead_letters) if subscription else cls(name, None, dead_letters)

    def __str__(self) -> str:
        name = f"{self.entity}/{self.subscription}" if self.subscription else self.entity
        return f"{name}/$DeadLetterQueue" if self.dead_letters else name

    def receiver(self, client: ServiceBusClient, prefetch_count: int) -> ServiceBusReceiver:
        """A peek-lock receiver of the SDK."""
        sub_queue = ServiceBusSubQueue.DEAD_LETTER if self.dead_letters else None
        if self.subscription is not None:
            return client.get_subscription_receiver(
                self.entity, self.subscription, sub_queue=sub_queue, prefetch_count=prefetch_count
            )
        return client.get_queue_receiver(self.entity, sub_queue=sub_queue, prefetch_count=prefetch_count)
