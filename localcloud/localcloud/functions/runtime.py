"""Microsoft's azure-functions-runtime library behind a narrow door: the only file that knows its insides.

The library talks protobuf to the .NET host. Its native entry point takes and gives its own `Datum` values instead;
plain objects stand in for protobuf's messages where it needs them (protocol.py). Version 1.3.0, see the requirements.
The library keeps its state in globals: one app per process. It has no type hints, hence the ignored imports.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Semaphore
from types import SimpleNamespace
from typing import Any, cast

import azure_functions_runtime as library  # type: ignore[import-untyped]
from azure_functions_runtime.bindings.datumdef import Datum  # type: ignore[import-untyped]
from azure_functions_runtime.native_invocation import (  # type: ignore[import-untyped]
    invocation_request_native,
    run_invocation_sync,
)
from azure_functions_runtime.utils import threadpool  # type: ignore[import-untyped]
from azure_functions_runtime.utils.constants import HTTP_URI  # type: ignore[import-untyped]
from azure_functions_runtime.utils.executor import invocation_id_cv  # type: ignore[import-untyped]

from localcloud.functions.definition import Binding, FunctionDefinition, HostError, RetryPolicy
from localcloud.functions.protocol import PROTOCOL, http_invocation, output
from localcloud.functions.web_server import give_up_response, web_server_started

__all__ = [
    "Datum",
    "IndexedApp",
    "InvocationResult",
    "binary",
    "collection",
    "current_invocation_id",
    "http_request",
    "json_text",
    "json_value",
    "load_app",
    "run_function",
    "run_function_here",
    "run_streaming_function",
    "start_threads",
    "string",
]

_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The end of an invocation: what it returned and set, or the exception and its traceback as text."""

    succeeded: bool
    returned: Datum | None
    outputs: Sequence[tuple[str, Datum]]
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class IndexedApp:
    """The functions of an app, and the address of its own web server if its HTTP functions take and give streams."""

    functions: Sequence[FunctionDefinition]
    web_server: str | None


async def load_app(folder: Path) -> IndexedApp:
    """Imports the app's `function_app.py` and indexes its functions; raises HostError with the library's reason."""
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not (folder / script).exists():
        raise HostError(f"{folder} has no {script}, so it is not an app of the Python v2 programming model.")
    sys.path.insert(0, str(folder))
    request = SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(folder)))
    properties = {"host": "127.0.0.1", "protos": PROTOCOL}
    answer = await library.worker_init_request(SimpleNamespace(request=request, properties=properties))
    if answer.result.status != PROTOCOL.StatusResult.Success:
        fault = answer.result.exception
        raise HostError(f"The app in {folder} cannot be indexed: {fault.message}\n{fault.stack_trace}")
    # Not at the top: indexing must import the app's own azure.functions, and the benchmark of indexing measures that.
    from localcloud.functions import message_times

    message_times.read_quickly()
    indexed = (await library.functions_metadata_request(None)).function_metadata_results or []
    web_server = answer.capabilities.get(HTTP_URI)
    if web_server is not None:
        await web_server_started(web_server)
    return IndexedApp([_definition(metadata) for metadata in indexed], web_server)


def start_threads() -> None:
    """Starts the thread pool for sync functions; PYTHON_THREADPOOL_THREAD_COUNT sets its size."""
    library.start_threadpool_executor()
    threadpool._threadpool_executor = _FunctionThreads(threadpool.get_threadpool_executor()._max_workers)


class _FunctionThreads(ThreadPoolExecutor):
    """The pool of the library, which submits a function and waits. A thread without an event loop can run the function
    itself, which is much cheaper than waking another one. It then counts as one of the pool's threads.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, "function")
        self._free = Semaphore(count)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> "Future[Any]":  # type: ignore[override]
        if asyncio._get_running_loop() is not None:
            return super().submit(self._run, function, arguments)
        ended: Future[Any] = Future()
        try:
            ended.set_result(self._run(function, arguments))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            ended.set_exception(error)
        return ended

    def _run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        with self._free:
            return function(*arguments)


def current_invocation_id() -> str | None:
    """The id of the invocation that the calling thread or task runs, None outside of functions."""
    return cast("str | None", invocation_id_cv.get())


async def run_function(
    definition: FunctionDefinition,
    trigger: Datum,
    metadata: Mapping[str, Datum],
    invocation_id: str,
    retry_count: int = 0,
    maximum_retry_count: int = 0,
) -> InvocationResult:
    """Runs the function once; never raises for a fault of the function. Sync functions run in the thread pool."""
    ended = await invocation_request_native(
        invocation_id,
        definition.id,
        [(definition.trigger.name, trigger)],
        metadata,
        trace_parent=_trace_parent(invocation_id),
        retry_count=retry_count,
        max_retry_count=maximum_retry_count,
    )
    return _result(*ended)


def run_function_here(
    definition: FunctionDefinition, trigger: Datum, metadata: Mapping[str, Datum], invocation_id: str
) -> InvocationResult | None:
    """Like `run_function`, in the calling thread, which must have no event loop; returns None for an async function."""
    handled, *ended = run_invocation_sync(
        invocation_id,
        definition.id,
        [(definition.trigger.name, trigger)],
        metadata,
        trace_parent=_trace_parent(invocation_id),
    )
    return _result(*ended) if handled else None


async def run_streaming_function(
    definition: FunctionDefinition, route: Mapping[str, str], invocation_id: str
) -> InvocationResult:
    """Runs an HTTP function of an app with its own web server.

    It waits for the request that arrives there with the invocation's id in a header, and hands the response to that
    server. Never raises for a fault of the function.
    """
    trace_parent = _trace_parent(invocation_id)
    message = http_invocation(invocation_id, definition.id, definition.trigger.name, route, trace_parent)
    token = invocation_id_cv.set(invocation_id)
    try:
        ended = await library.invocation_request(message)
    except BaseException as error:
        give_up_response(invocation_id, error)
        raise
    finally:
        invocation_id_cv.reset(token)
    if ended.result.status != PROTOCOL.StatusResult.Success:
        fault = ended.result.exception
        return InvocationResult(False, None, (), fault.message, fault.stack_trace)
    outputs = [(name, Datum(value, kind)) for name, kind, value in map(output, ended.output_data)]
    return InvocationResult(True, None, outputs)


def _trace_parent(invocation_id: str) -> str:
    return f"00-{invocation_id.replace('-', '')}-{os.urandom(8).hex()}-00"


def _result(
    succeeded: bool, returned: Datum | None, outputs: Any, error: str | None, trace: str | None
) -> InvocationResult:
    return InvocationResult(succeeded, returned, outputs, error or "", trace or "")


def string(value: str) -> Datum:
    """A text value."""
    return Datum(value, "string")


def json_value(value: object) -> Datum:
    """A value that the function's side parses from JSON."""
    return _Json(value)


class _Json(Datum):  # type: ignore[misc]
    """Its text is made only when it is read: a function's side reads few of the values that come with a message."""

    def __init__(self, content: object) -> None:
        self._content = content
        self.type = "json"

    @cached_property
    def value(self) -> str:
        content = self._content
        return str(content) if type(content) is int else _COMPACT.encode(content)  # most are numbers


def json_text(text: str) -> Datum:
    """A value whose JSON text is at hand."""
    return Datum(text, "json")


def binary(value: bytes) -> Datum:
    """A value of bytes."""
    return Datum(value, "bytes")


def collection(values: Sequence[str] | Sequence[bytes] | Sequence[int]) -> Datum:
    """Several values of one type, that of the first; an empty collection has the type string."""
    kind = {bytes: "bytes", int: "sint64"}.get(type(values[0]) if values else str, "string")
    return Datum(SimpleNamespace(**{kind: list(values)}), f"collection_{kind}")


def http_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    route_parameters: Mapping[str, str],
    body: bytes,
) -> Datum:
    """A request in the form that an HTTP trigger receives."""
    value = {
        "method": string(method),
        "url": string(url),
        "headers": {name: string(header) for name, header in headers.items()},
        "query": {name: string(parameter) for name, parameter in query.items()},
        "params": {name: string(parameter) for name, parameter in route_parameters.items()},
        "body": binary(body),
    }
    return Datum(value, "http")


def _definition(metadata: Any) -> FunctionDefinition:
    bindings = [Binding.parse(json.loads(raw)) for raw in metadata.raw_bindings]
    trigger = next((binding for binding in bindings if binding.type.lower().endswith("trigger")), None)
    if trigger is None:
        raise HostError(f"The function '{metadata.name}' has no trigger.")
    outputs = {binding.name: binding for binding in bindings if binding.direction == "OUT"}
    inputs = [binding for binding in bindings if binding.direction != "OUT" and binding is not trigger]
    return FunctionDefinition(
        metadata.name, metadata.function_id, trigger, outputs, inputs, _retry_policy(metadata.retry_options)
    )


def _retry_policy(options: Any) -> RetryPolicy | None:
    if options is None:
        return None
    if options.retry_strategy == "fixed_delay":
        delay = options.delay_interval.total_seconds()
        return RetryPolicy(options.max_retry_count, delay, delay, exponential=False)
    first, longest = options.minimum_interval.total_seconds(), options.maximum_interval.total_seconds()
    return RetryPolicy(options.max_retry_count, first, longest, exponential=True)
