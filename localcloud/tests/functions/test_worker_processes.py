"""Several worker processes of one host: their share of the messages, and how they end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.functions.conftest import APPS, DISTRIBUTION, RunningBroker, RunningHost, StartHost, until

NOWHERE = "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;"
COUNT = "FUNCTIONS_WORKER_PROCESS_COUNT"


def children_of(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers_of(host: RunningHost) -> list[int]:
    """The process ids of the workers beside the host itself."""
    return children_of(host.process.pid)


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def send(broker: RunningBroker, *bodies: str) -> None:
    async with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_sender("single") as sender,
    ):
        await sender.send_messages([ServiceBusMessage(body) for body in bodies])


async def processes_that_handle(host: RunningHost, broker: RunningBroker, count: int) -> set[int]:
    """Sends messages until that many processes have handled some; their ids."""
    async with asyncio.timeout(300):
        while len(found := {one["process"] for one in host.seen("single")}) < count:
            await send(broker, *[f"message {number}" for number in range(20)])
            await asyncio.sleep(0.2)
    return found


@pytest.fixture
async def host(start_host: StartHost, broker: RunningBroker) -> RunningHost:
    return await start_host(BUS=broker.connection_string, **{COUNT: "2"})


async def test_worker_processes_share_the_messages_and_the_limit(host: RunningHost, broker: RunningBroker) -> None:
    found = await processes_that_handle(host, broker, 2)
    assert found == {host.process.pid, *workers_of(host)}
    await send(broker, *[json.dumps({"wait": 1, "number": number}) for number in range(6)])

    def waits() -> list[str]:
        return [one["body"] for one in host.seen("single") if "wait" in one["body"]]

    await until(lambda: waits().count("waited") == 6)
    assert waits().index("waited") <= 4


async def test_timer_runs_in_the_host_alone(host: RunningHost, broker: RunningBroker) -> None:
    await processes_that_handle(host, broker, 2)
    assert {one["process"] for one in host.seen("tick")} == {host.process.pid}


async def test_worker_that_is_killed_is_started_again(host: RunningHost, broker: RunningBroker) -> None:
    (first,) = await until(lambda: workers_of(host))
    os.kill(first, signal.SIGKILL)
    await until(lambda: workers_of(host) not in ([], [first]))
    (second,) = workers_of(host)
    await processes_that_handle(host, broker, 2)
    assert second in {one["process"] for one in host.seen("single")}
    assert "A worker process ended with exit code -9" in host.log.read_text()


#: Does what `MLClient` does: names its cloud for the whole process.
SETS_ITS_CLOUD = """
import os

import azure.functions as func

with open(os.environ["SEEN"], "a") as file:
    file.write(f"{os.environ.get('AZUREML_CURRENT_CLOUD')}\\n")
os.environ["AZUREML_CURRENT_CLOUD"] = "LocalCloud"
app = func.FunctionApp()
"""


async def test_worker_has_the_environment_from_before_the_app_changed_it_each_time_it_starts(
    start_host: StartHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD", raising=False)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "app" / "function_app.py").write_text(SETS_ITS_CLOUD)
    host = await start_host(app=tmp_path / "app", **{COUNT: "2"})
    await until(lambda: len(host.seen_file.read_text().splitlines()) == 2)
    (worker,) = workers_of(host)
    os.kill(worker, signal.SIGKILL)
    await until(lambda: len(host.seen_file.read_text().splitlines()) == 3)
    assert host.seen_file.read_text().splitlines() == ["None", "None", "None"]


async def test_workers_end_with_the_host(host: RunningHost) -> None:
    (worker,) = await until(lambda: workers_of(host))
    assert await host.process.stop(15) == 0
    assert not runs(worker)


async def test_no_worker_outlives_a_host_that_is_killed(tmp_path: Path) -> None:
    options = ["functions", "--app", str(APPS / "everything"), "--port", "0", "--data", str(tmp_path)]
    environment = {**os.environ, "BUS": NOWHERE, "SEEN": str(tmp_path / "seen"), COUNT: "2"}
    with (tmp_path / "log").open("w") as log:  # and not on a leash, which would end the worker itself
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "localcloud", *options, cwd=DISTRIBUTION, env=environment, stdout=log, stderr=log
        )
    try:
        (worker,) = await until(lambda: children_of(host.pid))
        await until(lambda: "functions ready" in (tmp_path / "log").read_text())
    finally:
        host.kill()
        await host.wait()
    try:
        await until(lambda: not runs(worker))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


async def test_count_that_is_none_is_refused(start_host: StartHost) -> None:
    with pytest.raises(AssertionError, match="FUNCTIONS_WORKER_PROCESS_COUNT must be a whole number from 1 to 10"):
        await start_host(**{COUNT: "eleven"})
