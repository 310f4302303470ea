"""HTTP triggers, keys, routes and the admin API of a running host."""

import asyncio
import json
import stat

import aiohttp
import pytest

from tests.functions.conftest import RunningHost, StartHost, until


@pytest.fixture
async def host(start_host: StartHost) -> RunningHost:
    return await start_host(GREETING="from the environment")


async def test_request_and_response_arrive_as_in_azure(host: RunningHost) -> None:
    status, text, headers = await host.call(
        "POST", "/api/hello/J%C3%BCrgen%2Fx?a=1&empty=&b=2&b=3", data=b"body", headers={"X-Mixed-Case": "v"}
    )
    answer = json.loads(text)
    assert status == 201
    assert answer["name"] == "Jürgen%2Fx"
    assert answer["query"] == {"a": "1", "b": "2,3"}
    assert answer["headers"]["x-mixed-case"] == "v"
    assert answer["body"] == "body"
    assert answer["url"] == f"{host.address}/api/hello/J%C3%BCrgen%2Fx?a=1&empty=&b=2&b=3"
    assert headers["Content-Type"] == "application/json"
    assert headers.getall("Set-Cookie") == [
        "a=1; domain=; path=/",
        "b=2; domain=; path=; httponly",
    ]


async def test_environment_wins_over_local_settings(host: RunningHost) -> None:
    assert json.loads((await host.call("GET", "/api/hello"))[1])["greeting"] == "from the environment"


async def test_routes_choose_the_most_literal_and_check_constraints_and_methods(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/hello/world"))[:2] == (200, "the literal route")
    assert (await host.call("PUT", "/api/hello/someone"))[0] == 404
    assert (await host.call("GET", "/other/hello"))[0] == 404
    assert json.loads((await host.call("GET", "/api/items/7/a/b"))[1]) == {"number": "7", "rest": "a/b"}
    assert (await host.call("GET", "/api/items/0/a"))[0] == 404
    assert (await host.call("GET", "/api/items/x/a"))[0] == 404


async def test_failing_function_gives_an_empty_500_and_is_logged(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/broken"))[:2] == (500, "")
    await until(lambda: "broken on purpose" in host.log.read_text())
    assert host.log.read_text().count("Traceback") == 1


async def test_exceptions_that_would_end_the_process_fail_their_invocation_alone(host: RunningHost) -> None:
    for route in ("raise", "raise-async"):
        for name in ("SystemExit", "KeyboardInterrupt", "CancelledError", "UnprintableError"):
            assert (await host.call("GET", f"/api/{route}/{name}"))[:2] == (500, ""), (route, name)
    assert (await host.call("GET", "/admin/host/ping"))[0] == 200
    await until(lambda: "'raises_async' (id" in host.log.read_text())


async def test_response_that_cannot_be_sent_is_an_empty_500_and_is_logged(host: RunningHost) -> None:
    assert (await host.call("GET", "/api/unsendable"))[:2] == (500, "")
    await until(lambda: "'unsendable' returned a response that cannot be sent: '1000' is no" in host.log.read_text())


async def test_functions_log_has_level_function_and_invocation(host: RunningHost) -> None:
    await host.call("GET", "/api/hello")
    await until(lambda: "saying hello" in host.log.read_text())
    line = next(line for line in host.log.read_text().splitlines() if "saying hello" in line)
    assert " INFO " in line
    assert " hello [" in line


async def test_keys_open_what_they_should(host: RunningHost) -> None:
    default, master = host.keys["default"], host.keys["master"]
    assert (await host.call("GET", "/api/guarded"))[0] == 401
    assert (await host.call("GET", f"/api/guarded?code={default}"))[0] == 200
    assert (await host.call("GET", "/api/guarded", headers={"x-functions-key": master}))[0] == 200
    assert (await host.call("GET", f"/api/guarded?code={default}", headers={"x-functions-key": "no"}))[0] == 401
    assert (await host.call("GET", f"/api/for_administrators?code={default}"))[0] == 401
    assert (await host.call("GET", f"/api/for_administrators?code={master}"))[0] == 200


async def test_keys_are_private_and_stay_the_same(host: RunningHost, start_host: StartHost) -> None:
    again = await start_host()
    assert again.keys == host.keys
    assert stat.S_IMODE((host.seen_file.parent / "data" / "keys.json").stat().st_mode) == 0o600


async def test_no_auth_asks_for_no_keys(start_host: StartHost) -> None:
    host = await start_host("--no-auth")
    assert (await host.call("GET", "/api/guarded"))[0] == 200
    assert (await host.call("GET", "/admin/host/status"))[0] == 200


async def test_headers_reach_the_app_as_they_came_as_without_app_service_authentication(host: RunningHost) -> None:
    sent = {"X-MS-CLIENT-PRINCIPAL": "forged", "Authorization": "Bearer a.b.c"}
    headers = json.loads((await host.call("GET", "/api/hello", headers=sent))[1])["headers"]
    assert (headers["x-ms-client-principal"], headers["authorization"]) == ("forged", "Bearer a.b.c")


async def test_admin_lists_functions_and_runs_one(host: RunningHost) -> None:
    key = {"x-functions-key": host.keys["master"]}
    assert (await host.call("GET", "/admin/host/ping"))[0] == 200
    assert (await host.call("GET", "/admin/functions"))[0] == 401
    status, text, _ = await host.call("GET", "/admin/functions", headers=key)
    assert status == 200
    assert {"hello", "single", "tick"} <= {function["name"] for function in json.loads(text)}
    assert json.loads((await host.call("GET", "/admin/host/status", headers=key))[1])["state"] == "Running"
    given = {"input": json.dumps({"id": "by-hand", "eventType": "t", "subject": "s", "data": {"a": 1}})}
    assert (await host.call("POST", "/admin/functions/ON_EVENT", headers=key, json=given))[0] == 202
    assert (await until(lambda: host.seen("on_event")))[0]["id"] == "by-hand"
    assert (await host.call("POST", "/admin/functions/unknown", headers=key, json=given))[0] == 404
    assert (await host.call("POST", "/admin/functions/on_event", headers=key, data=b"no json"))[0] == 400
    assert (await host.call("POST", "/admin/functions/on_event", headers=key, data=b"[" * 100_000))[0] == 400
    assert (await host.call("POST", "/admin/functions/single", headers=key, json={"input": "text"}))[0] == 202
    assert (await until(lambda: host.seen("single")))[0]["body"] == "text"


async def test_admin_tells_where_an_http_function_is(host: RunningHost) -> None:
    key = {"x-functions-key": host.keys["master"]}
    described = json.loads((await host.call("GET", "/admin/functions/hello", headers=key))[1])
    assert described["invoke_url_template"].startswith(f"{host.address}/api/")
    assert described["href"] == f"{host.address}/admin/functions/hello"
    assert json.loads((await host.call("GET", "/admin/functions/tick", headers=key))[1])["invoke_url_template"] is None


async def test_admin_gives_the_keys_to_the_master_key_alone(host: RunningHost) -> None:
    system = host.keys["systemKeys"]["eventgrid_extension"]
    expected = {
        "keys": {"keys": [{"name": "default", "value": host.keys["default"]}], "links": []},
        "functionkeys/default": {"name": "default", "value": host.keys["default"], "links": []},
        "systemkeys": {"keys": [{"name": "eventgrid_extension", "value": system}], "links": []},
        "systemkeys/eventgrid_extension": {"name": "eventgrid_extension", "value": system, "links": []},
        "systemkeys/_master": {"name": "_master", "value": host.keys["master"], "links": []},
    }
    master = {"x-functions-key": host.keys["master"]}
    for path, content in expected.items():
        assert json.loads((await host.call("GET", f"/admin/host/{path}", headers=master))[1]) == content
    for path in ("keys/other", "functionkeys/_master", "systemkeys/default"):
        assert (await host.call("GET", f"/admin/host/{path}", headers=master))[0] == 404
    assert (await host.call("GET", f"/admin/host/keys?code={host.keys['default']}"))[0] == 401


async def test_sync_function_does_not_block_the_host(host: RunningHost) -> None:
    slow = asyncio.ensure_future(host.call("GET", "/api/slow?seconds=1"))
    await until(lambda: host.seen("slow"))
    assert (await host.call("GET", "/api/hello"))[0] == 201
    assert not slow.done()
    assert (await slow)[0] == 200


async def test_stop_lets_running_functions_end(host: RunningHost) -> None:
    task = asyncio.ensure_future(host.call("GET", "/api/slow?seconds=1"))
    await until(lambda: host.seen("slow"))
    assert await host.process.stop(10) == 0
    assert (await task)[:2] == (200, "done")


async def test_stop_abandons_what_takes_too_long(start_host: StartHost) -> None:
    host = await start_host("--grace", "0.3")
    task = asyncio.ensure_future(host.call("GET", "/api/slow?seconds=60"))
    await until(lambda: host.seen("slow"))
    assert await host.process.stop(10) == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await task
