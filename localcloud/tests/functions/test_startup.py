"""How the host starts, and what it says when an app cannot be served."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tests.functions.conftest import DISTRIBUTION, StartHost, until

HOST_JSON = '{"version": "2.0"}'
PLAIN = """
import sys
import azure.functions as func
app = func.FunctionApp()

@app.route("modules", auth_level=func.AuthLevel.ANONYMOUS)
def modules(req: func.HttpRequest) -> str:
    return " ".join(sorted(sys.modules))
"""


def write_app(folder: Path, code: str, host_json: str = HOST_JSON) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "host.json").write_text(host_json)
    (folder / "function_app.py").write_text(code)
    return folder


async def test_service_bus_sdk_is_loaded_only_for_apps_that_use_it(start_host: StartHost, tmp_path: Path) -> None:
    host = await start_host(app=write_app(tmp_path / "app", PLAIN))
    modules = (await host.call("GET", "/api/modules"))[1].split()
    assert "azure.functions" in modules
    assert "azure.servicebus" not in modules
    assert "azure.identity" not in modules


async def test_functions_of_an_unknown_kind_are_left_out_and_said(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
@app.blob_trigger(arg_name="blob", path="a/b", connection="S")
def on_blob(blob: func.InputStream) -> None:
    pass

@app.route("with_blob", auth_level=func.AuthLevel.ANONYMOUS)
@app.blob_input(arg_name="blob", path="a/b", connection="S")
def with_blob(req: func.HttpRequest, blob: str) -> str:
    return blob

@app.route("writes_blob", auth_level=func.AuthLevel.ANONYMOUS)
@app.blob_output(arg_name="copy", path="a/b", connection="S")
def writes_blob(req: func.HttpRequest, copy: func.Out[str]) -> str:
    return ""
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    assert (await host.call("GET", "/api/modules"))[0] == 200
    assert (await host.call("GET", "/api/with_blob"))[0] == 404
    expected = [
        "'on_blob' is not served: Its trigger 'blob' is of type blobTrigger, which the local host does not have. Run",
        "'with_blob' is not served: Its input 'blob' is of type blob, which the local host does not have. Read",
        "'writes_blob' is not served: Its output 'copy' is of type blob, which the local host does not have. Read",
    ]
    await until(lambda: all(line in host.log.read_text() for line in expected))
    status = await host.call("GET", "/admin/host/status", headers={"x-functions-key": host.keys["master"]})
    assert "on_blob" in status[1]
    assert "with_blob" in status[1]


async def test_an_app_that_configures_logging_does_not_silence_the_host(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
import logging.config
logging.config.dictConfig({{"version": 1, "root": {{"handlers": []}}}})

@app.route("fails", auth_level=func.AuthLevel.ANONYMOUS)
def fails(req: func.HttpRequest) -> str:
    raise ValueError("the reason")
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    assert (await host.call("GET", "/api/fails"))[0] == 500
    await until(lambda: "ValueError('the reason')" in host.log.read_text())


LOGGING = f"""{PLAIN}
import logging

@app.route("says", auth_level=func.AuthLevel.ANONYMOUS)
def says(req: func.HttpRequest) -> str:
    for level in ("debug", "info", "warning"):
        getattr(logging, level)("a line of %s", level)
    return ""
"""


@pytest.mark.parametrize(
    ("level", "settings", "written"),
    [
        ("Debug", {}, {"info", "warning"}),
        ("Debug", {"PYTHON_ENABLE_DEBUG_LOGGING": "1"}, {"debug", "info", "warning"}),
        ("Information", {"PYTHON_ENABLE_DEBUG_LOGGING": "1"}, {"info", "warning"}),
        ("Warning", {"PYTHON_ENABLE_DEBUG_LOGGING": "1"}, {"warning"}),
    ],
)
async def test_what_a_function_logs_passes_the_worker_and_then_host_json_as_in_azure(
    start_host: StartHost, tmp_path: Path, level: str, settings: dict[str, str], written: set[str]
) -> None:
    host_json = json.dumps({"version": "2.0", "logging": {"logLevel": {"default": "Error", "Function.says": level}}})
    host = await start_host(app=write_app(tmp_path / "app", LOGGING, host_json), **settings)
    assert (await host.call("GET", "/api/says"))[0] == 200
    await until(lambda: "a line of warning" in host.log.read_text())
    assert set(re.findall(r"a line of (\w+)", host.log.read_text())) == written


async def test_functions_that_collide_are_left_out_and_the_others_served(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
@app.function_name("Modules")
@app.route("other")
def same_name(req: func.HttpRequest) -> str:
    return ""

@app.route("modules")
def same_route(req: func.HttpRequest) -> str:
    return ""

@app.route("broken/{{id")
def unreadable(req: func.HttpRequest) -> str:
    return ""
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    assert (await host.call("GET", "/api/modules"))[0] == 200
    expected = [
        "The function 'Modules' is not served: Another function has the same name",
        "The function 'same_route' is not served: Its route 'modules' is already that of 'modules'",
        "The function 'unreadable' is not served: The route 'broken/{id' of 'unreadable' cannot be read",
    ]
    await until(lambda: all(line in host.log.read_text() for line in expected))


async def test_a_disabled_function_runs_with_the_master_key_alone(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
import logging

@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
def tick(timer: func.TimerRequest) -> None:
    logging.info("ticked")

@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    pass
"""
    (tmp_path / "app").mkdir()
    values = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("modules", "tick", "on_event")}
    (tmp_path / "app" / "local.settings.json").write_text(json.dumps({"Values": values}))
    host = await start_host(app=write_app(tmp_path / "app", code))
    master = {"x-functions-key": host.keys["master"]}
    assert (await host.call("GET", "/api/modules"))[0] == 404
    assert (await host.call("GET", "/api/modules", headers=master))[0] == 200
    notification = {**master, "aeg-event-type": "Notification"}
    path = "/runtime/webhooks/eventgrid?functionName=on_event"
    assert (await host.call("POST", path, headers=notification, json=[]))[0] == 404
    assert "ticked" not in host.log.read_text()
    assert (await host.call("POST", "/admin/functions/tick", headers=master, json={}))[0] == 202
    await until(lambda: "ticked" in host.log.read_text())
    described = json.loads((await host.call("GET", "/admin/functions/tick", headers=master))[1])
    assert described["isDisabled"] is True


async def test_an_app_without_functions_runs_and_says_so(start_host: StartHost, tmp_path: Path) -> None:
    code = "import azure.functions as func\napp = func.FunctionApp()\n"
    host = await start_host(app=write_app(tmp_path / "app", code))
    await until(lambda: "There is no function to serve." in host.log.read_text())
    assert (await host.call("GET", "/"))[0] == 200


async def test_packages_that_were_deployed_with_the_app_can_be_imported(start_host: StartHost, tmp_path: Path) -> None:
    packages = tmp_path / "app" / ".python_packages" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "deployed_package.py").write_text("")
    host = await start_host(app=write_app(tmp_path / "app", f"import deployed_package\n{PLAIN}"))
    assert "deployed_package" in (await host.call("GET", "/api/modules"))[1]


async def test_a_warmup_function_is_run_by_hand(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
import logging

@app.warm_up_trigger(arg_name="warmup")
def warm(warmup) -> None:
    logging.info("warmed up")
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    master = {"x-functions-key": host.keys["master"]}
    assert (await host.call("POST", "/admin/functions/warm", headers=master, json={}))[0] == 202
    await until(lambda: "warmed up" in host.log.read_text())


async def test_functions_whose_trigger_cannot_work_are_named(start_host: StartHost, tmp_path: Path) -> None:
    code = f"""{PLAIN}
@app.service_bus_queue_trigger(arg_name="message", queue_name="%ABSENT%", connection="BUS")
def on_queue(message: func.ServiceBusMessage) -> None:
    pass

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
@app.service_bus_queue_output(arg_name="out", queue_name="%ABSENT%", connection="BUS")
def on_timer(timer: func.TimerRequest, out: func.Out[str]) -> None:
    pass

@app.timer_trigger(arg_name="timer", schedule="%ABSENT%")
def at_times(timer: func.TimerRequest) -> None:
    pass

@app.service_bus_queue_trigger(arg_name="message", queue_name="steps", connection="NOWHERE")
def on_nowhere(message: func.ServiceBusMessage) -> None:
    pass

@app.service_bus_queue_trigger(arg_name="message", queue_name="q", connection="BUS", is_sessions_enabled=True)
def in_sessions(message: func.ServiceBusMessage) -> None:
    pass
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    expected = [
        "The function 'on_queue' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'on_timer' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'at_times' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'on_nowhere' is not served: No connection 'NOWHERE'",
        "The function 'in_sessions' is not served: It requires sessions (is_sessions_enabled), which the local",
    ]
    await until(lambda: all(line in host.log.read_text() for line in expected))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("import sys; sys.exit(0)", "ended the program while it was imported: SystemExit(0)"),
        ("def broken(:", "SyntaxError"),
        ("app = None", "Could not find top level function app"),
        (PLAIN.replace("req:", "other, req:"), "the following parameters are declared in Python"),
    ],
)
async def test_app_that_cannot_be_indexed_ends_the_host_with_the_reason(tmp_path: Path, code: str, reason: str) -> None:
    assert reason in await reason_of_end(write_app(tmp_path / "app", code))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("main.py", "has no main.py"),
        ("main", "has no main"),
        ("host.json", "InvalidFileNameError"),
    ],
)
async def test_a_script_that_cannot_be_one_ends_the_host_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", script)
    assert reason in await reason_of_end(write_app(tmp_path / "app", PLAIN))


async def reason_of_end(app: Path) -> str:
    """What a host says that ends by itself, as it must."""
    command = ["-m", "localcloud", "functions", "--app", str(app), "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=DISTRIBUTION, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    _, errors = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 1
    return errors.decode()
