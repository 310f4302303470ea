"""Service Bus: what happened, one event at a time."""

import azure.functions as func

from shared.app import app

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="promotion-events", connection="ServiceBus")
def advance(message: func.ServiceBusMessage) -> None:
    """Raising gives the message back to the queue, and in the end to its dead-letter queue."""
    app().advance(message.get_body())
