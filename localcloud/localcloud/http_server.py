"""Serves an aiohttp application on 127.0.0.1 for as long as a part runs."""

import contextlib
import hmac
import socket
from collections.abc import AsyncIterator

from aiohttp import web

#: Seconds that requests under way have to end when a part is stopped.
_GRACE = 2.0


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
    """Whether a header's value is the secret, told in constant time; `given` may hold bytes that are no UTF-8."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), secret.encode())


@contextlib.asynccontextmanager
async def listening(application: web.Application, bound: socket.socket) -> AsyncIterator[None]:
    """The application answers on the socket inside the block."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE, handler_cancellation=True)
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        yield
    finally:
        await runner.cleanup()
