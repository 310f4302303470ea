"""The app's queue triggers over an Azure ML that answers at once (see `benchmarks/at_once.py`)."""

import json
import os
from collections.abc import Callable

import azure.functions as func

from benchmarks.at_once import AtOnceApp

#: The models that will be promoted, as JSON.
MODELS = "BENCHMARK_MODELS"

promotions = AtOnceApp(os.environ)
promotions.expect(json.loads(os.environ[MODELS]))

app = func.FunctionApp()


@app.service_bus_queue_trigger(
    arg_name="message", queue_name="promotion-events", connection="ServiceBus", data_type=func.DataType.BINARY
)
def advance(message: func.ServiceBusMessage) -> None:
    promotions.coordinator.advance(message.get_body())


def _worker(environment: str) -> Callable[[func.ServiceBusMessage], None]:
    def work(message: func.ServiceBusMessage) -> None:
        promotions.worker.receive(environment, message.get_body(), message.delivery_count or 1)

    work.__name__ = f"work_{environment}"
    return work


def _listener(environment: str) -> Callable[[func.ServiceBusMessage], None]:
    def take_report(message: func.ServiceBusMessage) -> None:
        promotions.coordinator.take_report(environment, message.get_body())

    take_report.__name__ = f"advance_{environment}"
    return take_report


for name in promotions.configuration.environments:
    for function, queue in ((_worker(name), f"steps-{name}"), (_listener(name), f"reports-{name}")):
        trigger = app.service_bus_queue_trigger(
            arg_name="message", queue_name=queue, connection="ServiceBus", data_type=func.DataType.BINARY
        )
        app.function_name(function.__name__)(trigger(function))
