"""The web server that the runtime library starts for apps whose HTTP functions take and give streams.

The FastAPI extension brings such a server. The library starts it in the host's own process while it indexes the app.
"""

import asyncio
import logging
import signal
from urllib.parse import urlsplit

from azure_functions_runtime.http_v2 import http_coordinator  # type: ignore[import-untyped]
from azure_functions_runtime.utils.constants import X_MS_INVOCATION_ID  # type: ignore[import-untyped]

from localcloud.functions.definition import HostError

#: How the server learns which invocation a request is for.
INVOCATION_HEADER: str = X_MS_INVOCATION_ID

#: Seconds that the server may take to start, and between two attempts to reach it.
_LONGEST_START, _PAUSE = 10.0, 0.02
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def web_server_started(address: str) -> None:
    """Waits until the server answers; raises HostError if it does not. Call this before the server's task runs.

    uvicorn takes the signals that end a process, and raises them again when it has ended. They are the host's: it still
    needs the server while running functions end.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        async with asyncio.timeout(_LONGEST_START):
            while not await _answers(address):  # noqa: ASYNC110 - the server tells nobody when it listens
                await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise HostError(f"The app's own web server did not start at {address} in {_LONGEST_START:g} s.") from error
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


async def _answers(address: str) -> bool:
    place = urlsplit(address)
    try:
        _, writer = await asyncio.open_connection(place.hostname, place.port)
    except OSError:
        return False
    writer.close()
    return True


def give_up_response(invocation_id: str, error: BaseException) -> None:
    """Has the server answer 500 if it waits for this invocation's response."""
    reason = error if isinstance(error, Exception) else RuntimeError(repr(error))
    try:
        http_coordinator.set_http_response(invocation_id, reason)
    except KeyError:  # no request has come for it
        return
