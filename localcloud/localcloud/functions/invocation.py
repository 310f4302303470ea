"""Runs one invocation as the host does: time limit, retries, output bindings, and a line in the log when it fails."""

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.logs import RUNNING
from localcloud.functions.runtime import (
    Datum,
    InvocationResult,
    run_function,
    run_function_here,
    run_streaming_function,
)
from localcloud.functions.service_bus_output import OutputError, ServiceBusOutputs

_logger = logging.getLogger("host.invocation")

_OUTCOMES = {True: "Succeeded", False: "Failed"}

#: Runs a function once, under the id of the invocation.
Run = Callable[[str], Awaitable[InvocationResult]]

NO_METADATA: Mapping[str, Datum] = {}

#: Seconds between two checks whether all invocations have ended.
_LOOK = 0.02


class Invoker:
    """Invokes functions and knows which of them are running."""

    def __init__(self, outputs: ServiceBusOutputs, timeout: float | None) -> None:
        """`timeout` is host.json's functionTimeout in seconds, None for no limit."""
        self._outputs = outputs
        self.timeout = timeout
        self._left_behind = 0

    async def invoke(
        self, definition: FunctionDefinition, trigger: Datum, metadata: Mapping[str, Datum] = NO_METADATA
    ) -> InvocationResult:
        """Runs the function once, without retries; never raises for a fault of the function or of its outputs."""
        return await self._attempt(definition, partial(run_function, definition, trigger, metadata))

    async def invoke_streaming(
        self, definition: FunctionDefinition, route: Mapping[str, str], invocation_id: str
    ) -> InvocationResult:
        """As `invoke`, for an HTTP function whose request goes to the app's own web server under this id."""
        return await self._attempt(definition, partial(run_streaming_function, definition, route), invocation_id)

    def invoke_from_thread(
        self,
        definition: FunctionDefinition,
        trigger: Datum,
        metadata: Mapping[str, Datum],
        loop: asyncio.AbstractEventLoop,
    ) -> InvocationResult:
        """As `invoke`, for a thread other than the event loop's. It runs the function in that thread if it needs no
        event loop, which is much cheaper. The caller must then enforce the time limit, since no thread can be stopped.
        """
        result = None
        if not definition.outputs:
            invocation_id = str(uuid.uuid4())
            began = time.perf_counter()
            RUNNING[invocation_id] = definition.name
            try:
                result = run_function_here(definition, trigger, metadata, invocation_id)
            except BaseException as error:  # noqa: BLE001 - as below
                result = InvocationResult(False, None, (), repr(error), traceback.format_exc())
            finally:
                del RUNNING[invocation_id]
        if result is None:
            return asyncio.run_coroutine_threadsafe(self.invoke(definition, trigger, metadata), loop).result()
        _log_end(definition, invocation_id, began, result)
        return result

    def gave_up(self, definition: FunctionDefinition) -> None:
        """Call this when an invocation from a thread exceeds its time limit."""
        category = {"category": f"Function.{definition.name}"}
        _logger.error("'%s' failed: %s", definition.name, self._out_of_time(), extra=category)

    def _out_of_time(self) -> str:
        return f"Timeout of {self.timeout:g} s exceeded (functionTimeout)."

    async def invoke_with_retries(self, definition: FunctionDefinition, trigger: Datum) -> InvocationResult:
        """Runs the function as often as its retry policy says; for triggers on which the real host retries."""
        policy = definition.retry
        if policy is None:
            return await self.invoke(definition, trigger)
        retry = 0
        while True:
            run = partial(
                run_function,
                definition,
                trigger,
                NO_METADATA,
                retry_count=retry,
                maximum_retry_count=policy.maximum_count,
            )
            result = await self._attempt(definition, run)
            if result.succeeded or retry == policy.maximum_count:
                return result
            retry += 1
            await asyncio.sleep(policy.pause_before(retry))

    @property
    def unfinished(self) -> int:
        """How many invocations are running, or were abandoned although their thread may still run."""
        return len(RUNNING) + self._left_behind

    async def wait_until_idle(self, seconds: float) -> None:
        """Waits for the running invocations, but no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                while RUNNING:  # noqa: ASYNC110 - other threads empty it
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            _logger.warning("Abandoned %d invocations that did not end within %g s.", len(RUNNING), seconds)

    async def _attempt(
        self, definition: FunctionDefinition, run: Run, invocation_id: str | None = None
    ) -> InvocationResult:
        """`run` takes the invocation's id."""
        if invocation_id is None:
            invocation_id = str(uuid.uuid4())
        began = time.perf_counter()
        RUNNING[invocation_id] = definition.name
        try:
            async with asyncio.timeout(self.timeout):
                result = await run(invocation_id)
            if result.succeeded and definition.outputs:
                await self._outputs.send(definition, result)
        except TimeoutError:
            self._left_behind += 1
            # Azure restarts the whole worker process here; a thread cannot be stopped, so it runs on.
            result = InvocationResult(False, None, (), self._out_of_time())
        except OutputError as error:
            result = InvocationResult(False, None, (), str(error))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                self._left_behind += 1
                raise
            # The function's own sys.exit or the like. It would end this process; Azure starts a new one for it.
            result = InvocationResult(False, None, (), repr(error), traceback.format_exc())
        finally:
            del RUNNING[invocation_id]
        _log_end(definition, invocation_id, began, result)
        return result


def _log_end(definition: FunctionDefinition, invocation_id: str, began: float, result: InvocationResult) -> None:
    name, category = definition.name, {"category": f"Function.{definition.name}"}
    if _logger.isEnabledFor(logging.DEBUG):
        outcome, milliseconds = _OUTCOMES[result.succeeded], (time.perf_counter() - began) * 1000
        _logger.debug(
            "Executed '%s' (%s, Id=%s, Duration=%.1fms)", name, outcome, invocation_id, milliseconds, extra=category
        )
    if not result.succeeded:
        traceback_text = result.traceback.rstrip()
        _logger.error("'%s' (id %s) failed: %s\n%s", name, invocation_id, result.error, traceback_text, extra=category)


def _is_cancelled() -> bool:
    """Whether somebody cancelled the task that runs the function, rather than the function itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
