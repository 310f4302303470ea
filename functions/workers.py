"""Service Bus: one worker per environment, each on its own queue."""

from collections.abc import Callable

import azure.functions as func

from functions.queues import takes_from
from shared.app import app, roles_here

blueprint = func.Blueprint()


def _worker(environment: str) -> Callable[[func.ServiceBusMessage], None]:
    def work(message: func.ServiceBusMessage) -> None:
        app().worker.receive(environment, message.get_body(), message.delivery_count or 1)

    work.__name__ = f"work_{environment.replace('-', '_')}"
    return work


for name in roles_here().environments:
    worker = _worker(name)
    trigger = takes_from(blueprint, f"steps-{name}")
    blueprint.function_name(worker.__name__)(trigger(worker))
