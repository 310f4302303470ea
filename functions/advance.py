"""Service Bus: handles one event at a time. Each environment's worker reports through its own queue."""

from collections.abc import Callable

import azure.functions as func

from functions.queues import takes_from
from shared.app import app, environments

blueprint = func.Blueprint()


@takes_from(blueprint, "promotion-events")
def advance(message: func.ServiceBusMessage) -> None:
    """Apply one event. Raising returns the message to the queue, and finally to the dead-letter queue."""
    app().coordinator.advance(message.get_body(), message.message_id)


def _listener(environment: str) -> Callable[[func.ServiceBusMessage], None]:
    def take_report(message: func.ServiceBusMessage) -> None:
        app().coordinator.take_report(environment, message.get_body(), message.message_id)

    take_report.__name__ = f"advance_{environment.replace('-', '_')}"
    return take_report


for name in environments():
    listener = _listener(name)
    trigger = takes_from(blueprint, f"reports-{name}")
    blueprint.function_name(listener.__name__)(trigger(listener))
