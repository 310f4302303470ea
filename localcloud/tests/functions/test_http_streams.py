"""Apps with Microsoft's FastAPI extension, whose requests the host forwards to the runtime's own web server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from azure.servicebus.aio import ServiceBusClient

from tests.functions.conftest import APPS, RunningBroker, RunningHost, StartHost, until

APP = APPS / "streams"


@pytest.fixture
async def host(start_host: StartHost) -> RunningHost:
    return await start_host(app=APP)


async def test_request_and_response_are_those_of_fastapi(host: RunningHost) -> None:
    status, text, headers = await host.call("POST", "/api/echo/J%C3%BCrgen?a=1&a=2", data=b"body")
    assert status == 201
    assert json.loads(text) == {
        "name": "Jürgen",
        "query": "a=1&a=2",
        "url": f"{host.address}/api/echo/Jürgen?a=1&a=2",
        "body": "body",
    }
    assert headers["Content-Type"] == "application/json"
    assert headers.getall("Set-Cookie") == ["a=1; HttpOnly; Path=/; SameSite=lax", "b=2; Path=/; SameSite=none"]
    await until(lambda: "echo [" in host.log.read_text())


async def test_a_sync_function_runs_and_its_log_names_it(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/sync"))[:2] == (200, '"GET"')
    await until(lambda: "INFO    sync [" in host.log.read_text())


async def test_a_request_passes_through_while_it_is_still_coming(host: RunningHost) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"12345"
        await until(lambda: "5 bytes so far" in host.log.read_text())
        yield b"67890"

    assert (await host.call("POST", "/api/upload", data=parts()))[:2] == (200, '"10"')


async def test_a_response_passes_through_while_it_is_still_coming(host: RunningHost) -> None:
    async with host.session.get(f"{host.address}/api/download") as response:
        assert await asyncio.wait_for(response.content.readline(), 300) == b"first\n"
        assert (await host.call("GET", "/api/release"))[0] == 200
        assert await asyncio.wait_for(response.content.readline(), 300) == b"second\n"


async def test_an_error_of_http_is_the_response(host: RunningHost) -> None:
    status, text, _ = await host.call("GET", "/api/missing")
    assert (status, json.loads(text)) == (404, {"detail": "there is no such thing"})


@pytest.mark.parametrize(("route", "reason"), [("broken", "broken on purpose"), ("exits", "SystemExit(3)")])
async def test_a_failing_function_gives_a_500_and_is_logged(host: RunningHost, route: str, reason: str) -> None:
    assert (await host.call("GET", f"/api/{route}"))[0] == 500
    await until(lambda: f"'{route}' (id" in host.log.read_text() and reason in host.log.read_text())
    assert (await host.call("GET", "/api/sync"))[0] == 200


async def test_a_function_that_takes_too_long_gives_a_500(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/slow"))[0] == 500
    await until(lambda: "Timeout of 2 s exceeded (functionTimeout)" in host.log.read_text())


async def test_keys_and_routes_are_checked_before_anything_is_forwarded(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/guarded"))[0] == 401
    assert (await host.call("GET", f"/api/guarded?code={host.keys['default']}"))[:2] == (200, '"open"')
    assert (await host.call("GET", "/api/nowhere"))[0] == 404
    assert (await host.call("GET", "/api/upload"))[0] == 404


async def test_the_admin_api_runs_such_a_function_with_the_input_as_body(host: RunningHost) -> None:
    master = {"x-functions-key": host.keys["master"]}
    assert (await host.call("POST", "/admin/functions/sync", headers=master, json={"input": "x"}))[0] == 202
    await until(lambda: "running sync" in host.log.read_text())


async def test_stop_lets_a_running_function_answer(host: RunningHost) -> None:
    answer = asyncio.ensure_future(host.call("GET", "/api/busy"))
    await until(lambda: "busy now" in host.log.read_text())
    assert await host.process.stop(10) == 0
    assert (await answer)[:2] == (200, '"done"')


async def test_outputs_are_sent(start_host: StartHost, broker: RunningBroker) -> None:
    host = await start_host(app=APP, BUS=broker.connection_string)
    assert (await host.call("POST", "/api/send", data=b"to the queue"))[:2] == (200, '"sent"')
    client = ServiceBusClient.from_connection_string(broker.connection_string)
    async with client, client.get_queue_receiver("results") as receiver:
        [message] = await receiver.receive_messages(max_wait_time=300)
        assert str(message) == "to the queue"
