"""How functions take messages from queues."""

from collections.abc import Callable
from typing import Any

import azure.functions as func


def takes_from(blueprint: func.Blueprint, queue: str) -> Callable[..., Any]:
    """The decorator of a function that takes one `message` at a time, with its body as bytes: fields of a JSON body
    that arrives as text replace the message's id (https://github.com/Azure/azure-functions-host/issues/7119).
    """
    trigger: Callable[..., Any] = blueprint.service_bus_queue_trigger(
        arg_name="message", queue_name=queue, connection="ServiceBus", data_type=func.DataType.BINARY
    )
    return trigger
