"""Calls that follow each other share a connection, and none meets one that is broken or has been idle for too long."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ServiceResponseError

from localcloud.azureml.certificates import server_context
from shared.cloud.azureml_rest import LONGEST_IDLE, Cloud, RestConnections
from tests.cloud.local_azure import until
from tests.fakes.clock import Clock

DEADLINE = 30.0  # seconds; it only ends a wait that hangs


class Server(ThreadingHTTPServer):
    """Answers with the number of the connection. `/closes` closes it afterwards, `/broken` without an answer, and
    `/together` answers once two requests have come."""

    def __init__(self, certificates: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.socket = server_context(certificates).wrap_socket(self.socket, server_side=True)
        self.together = Barrier(2, timeout=DEADLINE)
        self.opened = 0
        self.closed = 0


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body together, for speed
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.opened += 1
        self.number = self.server.opened

    def do_GET(self) -> None:  # the library's name
        name = self.path.partition("?")[0]
        if name == "/together":
            self.server.together.wait()
        self.close_connection = name in ("/closes", "/broken")
        if name == "/broken":
            return
        body = str(self.number).encode()
        self.send_response(400 if name == "/refused" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        super().finish()
        self.server.shutdown_request(self.request)
        self.server.closed += 1

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Token:
    """A credential."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("a token", int(time.time()) + 3600)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(tmp_path) as one:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        serving = Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield one
        one.shutdown()
        serving.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(server: Server, clock: Clock) -> RestConnections:
    return RestConnections(Token(), Cloud(resource_manager=f"https://localhost:{server.server_port}/"), clock)


def get(connections: RestConnections, path: str = "/") -> Any:
    """The number of the connection that the server answered on."""
    with connections.connected() as rest:
        return rest.get(path)


def test_calls_that_follow_each_other_share_a_connection(connections: RestConnections, clock: Clock) -> None:
    assert get(connections) == 1
    clock.now += LONGEST_IDLE
    assert get(connections) == 1


def test_a_connection_that_was_idle_for_too_long_is_closed_and_replaced(
    connections: RestConnections, clock: Clock, server: Server
) -> None:
    get(connections)
    clock.now += LONGEST_IDLE + 1
    assert get(connections) == 2
    until(lambda: server.closed == 1)


def test_calls_at_the_same_time_have_a_connection_each(connections: RestConnections) -> None:
    with ThreadPoolExecutor(2) as threads:
        numbers = list(threads.map(lambda _: get(connections, "/together"), range(2)))
    assert sorted(numbers) == [1, 2]


def test_a_call_does_not_notice_that_the_server_has_closed_the_connection(
    connections: RestConnections, server: Server
) -> None:
    assert get(connections, "/closes") == 1
    until(lambda: server.closed == 1)
    assert get(connections) == 2


@pytest.mark.parametrize(("path", "error"), [("/broken", ServiceResponseError), ("/refused", HttpResponseError)])
def test_a_connection_on_which_a_call_failed_is_not_used_again(
    connections: RestConnections, path: str, error: type[Exception]
) -> None:
    assert get(connections) == 1
    with pytest.raises(error):
        get(connections, path)
    assert get(connections) == 2


def test_a_failed_call_is_not_repeated(connections: RestConnections, server: Server) -> None:
    with pytest.raises(ServiceResponseError):
        get(connections, "/broken")
    assert server.opened == 1
