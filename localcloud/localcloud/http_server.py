"""Serves an aiohttp application on 127.0.0.1 for as long as a part runs."""

import contextlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

#: Seconds in which running requests must end when a part stops.
_GRACE = 2.0


class _ClientFaults(logging.Filter):
    """Logs unreadable requests on one line. It is the client's fault, so no traceback is needed."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(fault, HttpProcessingError | web.RequestPayloadError):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            words = " ".join(str(fault).split())
            record.msg, record.args = "refused an unreadable request: %s", (words[:_LONGEST_FAULT],)
        return True


#: The longest reason in characters; a reason may quote the whole request.
_LONGEST_FAULT = 200
#: What aiohttp's server logs to; for `web.AppRunner(logger=...)`.
SERVER_LOG = logging.getLogger("localcloud.http")
SERVER_LOG.addFilter(_ClientFaults())


@web.middleware
async def refuse_unreadable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 400 if a handler could not read the request's body, for example one not compressed as declared."""
    try:
        return await handler(request)
    except web.RequestPayloadError as fault:
        raise web.HTTPBadRequest(text="The request's body cannot be read: it is not encoded as declared.") from fault


def bind(port: int) -> socket.socket:
    """A socket on 127.0.0.1 at this port, a free one for 0; raises `SystemExit` if the port is taken."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise SystemExit(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
    return bound


def port_of(bound: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(bound.getsockname()[1])


def is_secret(given: str, secret: str) -> bool:
    """Whether a header's value is the secret, compared in constant time. `given` may contain bytes that are not
    UTF-8."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), secret.encode())


@contextlib.asynccontextmanager
async def listening(application: web.Application, bound: socket.socket) -> AsyncIterator[None]:
    """The application answers on the socket inside the block."""
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=_GRACE, handler_cancellation=True, logger=SERVER_LOG
    )
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        yield
    finally:
        await runner.cleanup()
