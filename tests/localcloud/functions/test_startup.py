"""How the host starts, and what it says when an app cannot be served."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.localcloud.functions.conftest import REPOSITORY, StartHost, until

HOST_JSON = '{"version": "2.0"}'
PLAIN = """
import sys
import azure.functions as func
app = func.FunctionApp()

@app.route("modules", auth_level=func.AuthLevel.ANONYMOUS)
def modules(req: func.HttpRequest) -> str:
    return " ".join(sorted(sys.modules))
"""


def write_app(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "host.json").write_text(HOST_JSON)
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
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    assert (await host.call("GET", "/api/modules"))[0] == 200
    assert (await host.call("GET", "/api/with_blob"))[0] == 404
    await until(lambda: "'on_blob' is not served: It has a blobTrigger" in host.log.read_text())
    await until(lambda: "'with_blob' is not served: It has an input blob" in host.log.read_text())
    status = await host.call("GET", "/admin/host/status", headers={"x-functions-key": host.keys["master"]})
    assert "on_blob" in status[1]
    assert "with_blob" in status[1]


async def test_functions_without_a_setting_are_left_out_and_named(start_host: StartHost, tmp_path: Path) -> None:
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
"""
    host = await start_host(app=write_app(tmp_path / "app", code))
    expected = [
        "The function 'on_queue' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'on_timer' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'at_times' is not served: '%ABSENT%' does not resolve to a value",
        "The function 'on_nowhere' is not served: No connection 'NOWHERE'",
    ]
    await until(lambda: all(line in host.log.read_text() for line in expected))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("app = None", "Could not find top level function app"),
        (PLAIN.replace("req:", "other, req:"), "the following parameters are declared in Python"),
    ],
)
async def test_app_that_cannot_be_indexed_ends_the_host_with_the_reason(tmp_path: Path, code: str, reason: str) -> None:
    app = write_app(tmp_path / "app", code)
    command = ["-m", "localcloud", "functions", "--app", str(app), "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=REPOSITORY, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert reason in errors.decode()
