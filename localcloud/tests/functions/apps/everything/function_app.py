"""An app with each kind of trigger and output; every function appends what it saw to the file SEEN, a JSON per line."""

import asyncio
import json
import logging
import os
import time
from typing import List  # noqa: UP035 - the runtime knows no list[...]

import azure.functions as func

app = func.FunctionApp()


class UnprintableError(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no text")


#: Raised by name.
ENDINGS = {one.__name__: one for one in (SystemExit, KeyboardInterrupt, asyncio.CancelledError, UnprintableError)}


def see(function: str, **what: object) -> None:
    with open(os.environ["SEEN"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"function": function, **what}, default=str) + "\n")


@app.route("hello/{name?}", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def hello(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    logging.info("saying hello")
    answer = {
        "function": context.function_name,
        "name": req.route_params.get("name"),
        "query": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode(),
        "url": req.url,
        "greeting": os.environ["GREETING"],
    }
    response = func.HttpResponse(json.dumps(answer), status_code=201, mimetype="application/json")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; HttpOnly")
    return response


@app.route("hello/world", auth_level=func.AuthLevel.ANONYMOUS)
def literal(req: func.HttpRequest) -> str:
    return "the literal route"


@app.route("items/{number:int:min(1)}/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
async def constrained(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(req.route_params)))


@app.route("guarded", auth_level=func.AuthLevel.FUNCTION)
def guarded(req: func.HttpRequest) -> str:
    return "open"


@app.route("raise/{name}", auth_level=func.AuthLevel.ANONYMOUS)
def raises(req: func.HttpRequest) -> str:
    raise ENDINGS[req.route_params["name"]]


@app.route("raise-async/{name}", auth_level=func.AuthLevel.ANONYMOUS)
async def raises_async(req: func.HttpRequest) -> str:
    raise ENDINGS[req.route_params["name"]]


@app.route("unsendable", auth_level=func.AuthLevel.ANONYMOUS)
def unsendable(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=1000)


@app.route("for_administrators", auth_level=func.AuthLevel.ADMIN)
def for_administrators(req: func.HttpRequest) -> str:
    return "open"


@app.route("broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> str:
    raise ValueError("broken on purpose")


@app.route("slow", auth_level=func.AuthLevel.ANONYMOUS)
def slow(req: func.HttpRequest) -> str:
    see("slow", state="begun")
    time.sleep(float(req.params["seconds"]))
    see("slow", state="ended")
    return "done"


@app.route("send", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.service_bus_queue_output(arg_name="out", queue_name="%OUTPUT_QUEUE%", connection="BUS")
def send(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    content = req.get_json()
    out.set(content["value"])
    return func.HttpResponse(status_code=202)


@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    see("on_event", id=event.id, type=event.event_type, subject=event.subject, topic=event.topic, data=event.get_json())
    if event.get_json().get("fail"):
        raise ValueError("an event failed on purpose")


@app.event_grid_trigger(arg_name="event")
async def on_cloud_event(event: func.CloudEvent) -> None:
    see("on_cloud_event", id=event.id, type=event.type, source=event.source, data=event.get_json())


@app.service_bus_queue_trigger(arg_name="message", queue_name="%SINGLE_QUEUE%", connection="BUS")
async def single(message: func.ServiceBusMessage, context: func.Context) -> None:
    names = (
        "message_id delivery_count correlation_id subject label content_type application_properties sequence_number "
    )
    names += "session_id time_to_live scheduled_enqueue_time_utc locked_until enqueued_time_utc to reply_to"
    see(
        "single",
        process=os.getpid(),
        body=message.get_body().decode(),
        metadata=sorted(message.metadata or {}),
        **{name: getattr(message, name) for name in names.split()},
    )
    if b"wait" in message.get_body():
        await asyncio.sleep(float(json.loads(message.get_body())["wait"]))
        see("single", body="waited")
    if b"until" in message.get_body():
        while not os.path.exists(json.loads(message.get_body())["until"]):  # noqa: ASYNC110, ASYNC240 - a test makes it
            await asyncio.sleep(0.05)
        see("single", body="waited")
    if b"boom" in message.get_body():
        raise ValueError("a message failed on purpose")


@app.service_bus_queue_trigger(arg_name="message", queue_name="raw", connection="BUS", data_type=func.DataType.BINARY)
def raw(message: func.ServiceBusMessage) -> None:
    see("raw", body=message.get_body().hex(), message_id=message.message_id, metadata=sorted(message.metadata or {}))


@app.service_bus_queue_trigger(
    arg_name="messages", queue_name="many", connection="BUS", cardinality=func.Cardinality.MANY
)
def many(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    see("many", bodies=[one.get_body().decode() for one in messages], ids=[one.message_id for one in messages])


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%", run_on_startup=True, use_monitor=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def tick(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context.retry_count
    see(
        "tick",
        process=os.getpid(),
        past_due=timer.past_due,
        status=getattr(timer, "schedule_status", None),
        retry=retry,
    )
    if os.environ.get("TICK_FAILS") and retry < 2:
        raise ValueError("a tick failed on purpose")
