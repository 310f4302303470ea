import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from localcloud import processes
from localcloud.azureml.compute.servers import ContainerCrashed, InferenceServers
from tests.compute.children import children_in

KEY = "dev/churn/blue"
SCORE = """
import json, os
from pathlib import Path
import greeting

def init():
    global factor
    factor = float((Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "factor.txt").read_text())

def run(raw_data):
    return {"answer": factor * json.loads(raw_data)["value"], "says": greeting.WORD, "home": os.environ["HOME"],
            "colour": os.environ.get("COLOUR"), "secret": os.environ.get("OWNER_SECRET"), "pid": os.getpid()}
"""
FAILING = "def init():\n    raise KeyError('no weights in this model')\n\ndef run(raw_data):\n    return raw_data\n"
HANGING = "import time\n\ndef init():\n    time.sleep(300)\n\ndef run(raw_data):\n    return raw_data\n"
SAVE = """
import sys
import pandas
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

rows = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 5.0]})
model = LinearRegression().fit(rows, [1, 3, 8])
mlflow.sklearn.save_model(
    model, sys.argv[1], serialization_format="cloudpickle", signature=infer_signature(rows)
)
"""

Start = Callable[..., Coroutine[None, None, None]]
Until = Callable[..., Awaitable[None]]


@pytest.fixture
async def servers(tmp_path: Path, compute_python: Path) -> AsyncIterator[InferenceServers]:
    running = InferenceServers(tmp_path / "servers", compute_python, restart_pauses=(0.01, 0.01))
    yield running
    await running.close()


@pytest.fixture
def start(tmp_path: Path, servers: InferenceServers) -> Start:
    """Start the server of KEY with a scoring script of so many lines and a model of one file."""
    model = tmp_path / "registered" / "model"
    model.mkdir(parents=True)
    (model / "factor.txt").write_text("3")
    code = tmp_path / "code"
    code.mkdir()
    (code / "greeting.py").write_text("WORD = 'hello'\n")

    async def start(script: str = SCORE, key: str = KEY, using: InferenceServers = servers) -> None:
        (code / "score.py").write_text(script)
        await using.start(
            key,
            code=code,
            scoring_script="score.py",
            model=model,
            model_type="custom_model",
            environment_variables={"COLOUR": "blue"},
        )

    return start


async def score(servers: InferenceServers, value: float, key: str = KEY) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{servers.address(key)}/score", json={"value": value}) as answer,
    ):
        assert answer.status == 200
        return await answer.json()


def is_up(servers: InferenceServers) -> bool:
    try:
        servers.address(KEY)
    except ContainerCrashed:
        return False
    return True


async def test_scores_with_the_model_the_code_and_the_environment_of_the_deployment(
    servers: InferenceServers, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_SECRET", "not for containers")
    await start()
    answer = await score(servers, 2)
    assert answer["answer"] == 6
    assert (answer["says"], answer["colour"], answer["secret"]) == ("hello", "blue", None)
    assert answer["home"] != str(Path.home())


async def test_listens_on_the_loopback_address_only(servers: InferenceServers, start: Start) -> None:
    await start()
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [socket for process in family for socket in process.net_connections("all")]
    listening = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


async def test_a_failing_init_ends_with_3_and_its_traceback(
    servers: InferenceServers, start: Start, tmp_path: Path
) -> None:
    with pytest.raises(ContainerCrashed, match="ended with 3") as crash:
        await start(FAILING)
    assert crash.value.exit_code == 3
    assert "KeyError: 'no weights in this model'" in crash.value.logs
    assert "KeyError: 'no weights in this model'" in servers.logs(KEY, 60)
    assert len(servers.logs(KEY, 2).splitlines()) == 2
    with pytest.raises(KeyError):
        servers.address(KEY)
    assert children_in(tmp_path) == []


async def test_an_init_that_takes_too_long_is_ended(tmp_path: Path, compute_python: Path, start: Start) -> None:
    impatient = InferenceServers(tmp_path / "impatient", compute_python, start_seconds=0.8)
    with pytest.raises(ContainerCrashed, match=r"not healthy within 0\.8 seconds"):
        await start(HANGING, using=impatient)
    assert children_in(tmp_path) == []


async def test_a_crashed_server_comes_back_and_then_stays_down_when_it_crashes_too_often(
    servers: InferenceServers, start: Start, until: Until
) -> None:
    await start()
    pids = {(await score(servers, 1))["pid"]}
    for _ in range(2):
        await servers.crash(KEY)
        with pytest.raises(ContainerCrashed) as crash:
            servers.address(KEY)
        assert crash.value.exit_code == -9
        await until(lambda: is_up(servers))
        pids.add((await score(servers, 1))["pid"])
    assert len(pids) == 3
    await servers.crash(KEY)
    await until(lambda: "is not restarted" in servers.logs(KEY, 1))
    assert not is_up(servers)


async def test_a_new_version_takes_over_when_it_is_healthy(servers: InferenceServers, start: Start) -> None:
    await start()
    replaced = (await score(servers, 1))["pid"]
    await start(SCORE.replace("factor *", "10 * factor *"))
    assert (await score(servers, 1))["answer"] == 30
    assert not psutil.pid_exists(replaced)


async def test_a_new_version_that_fails_leaves_the_old_one_serving(servers: InferenceServers, start: Start) -> None:
    await start()
    with pytest.raises(ContainerCrashed):
        await start(FAILING)
    assert (await score(servers, 1))["answer"] == 3
    assert "no weights" in servers.logs(KEY, 60)


async def test_stop_ends_a_server_that_is_still_starting(
    servers: InferenceServers, start: Start, until: Until, tmp_path: Path
) -> None:
    starting = asyncio.create_task(start(HANGING))
    await until(lambda: bool(children_in(tmp_path)))
    await servers.stop(KEY)
    with pytest.raises(ContainerCrashed):
        await starting
    assert children_in(tmp_path) == []


async def test_stop_removes_the_files_and_close_keeps_the_logs(
    tmp_path: Path, compute_python: Path, servers: InferenceServers, start: Start
) -> None:
    await start()
    await start(key="dev/other/blue")
    await servers.stop(KEY)
    await servers.close()
    assert children_in(tmp_path) == []
    later = InferenceServers(tmp_path / "servers", compute_python)
    assert later.logs(KEY, 10) == ""
    assert "Shutting down" in later.logs("dev/other/blue", 10)


async def test_a_custom_model_without_a_scoring_script_is_refused(servers: InferenceServers, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs code and a scoring script"):
        await servers.start(
            KEY, code=None, scoring_script=None, model=tmp_path, model_type="custom_model", environment_variables={}
        )


async def test_an_mlflow_model_without_code_says_what_its_environment_lacks(
    servers: InferenceServers, tmp_path: Path, compute_python: Path
) -> None:
    if has_pandas(compute_python):
        pytest.skip("the environment of the compute lacks nothing")
    with pytest.raises(ContainerCrashed) as crash:
        await start_without_code(servers, Path(__file__))
    assert "The compute's environment lacks pandas" in crash.value.logs


async def test_an_mlflow_model_scores_without_code_and_takes_integers_for_doubles(
    servers: InferenceServers, tmp_path: Path, compute_python: Path
) -> None:
    if not has_pandas(compute_python):
        pytest.skip("MLflow needs pandas to load a model by itself, and the environment of the compute lacks it")
    saving = await processes.start([str(compute_python), "-c", SAVE, str(tmp_path / "m")], log=tmp_path / "log.txt")
    assert await saving.wait() == 0, processes.tail(tmp_path / "log.txt", 20)
    await start_without_code(servers, tmp_path / "m")
    table = {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 0], [3, 5]]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{servers.address(KEY)}/score", json={"input_data": table}) as answer,
    ):
        assert await answer.json() == pytest.approx([1, 8])


def has_pandas(python: Path) -> bool:
    return any(python.parents[1].glob("lib/*/site-packages/pandas"))


async def start_without_code(servers: InferenceServers, model: Path) -> None:
    await servers.start(
        KEY, code=None, scoring_script=None, model=model, model_type="mlflow_model", environment_variables={}
    )
