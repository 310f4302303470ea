"""Another Functions host runs what is deployed to Azure, with only the file that `localcloud settings` prints. Core
Tools cannot be installed here, so the local host replaces them, without keys, like Core Tools.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from localcloud.up.description import EventSubscriptions
from localcloud.up.readiness import json_answer
from localcloud.up.token import token_of
from scripts.make_package import package
from shared.config.app_settings import OF_THE_HOST, documented
from tests.functions.running import REPOSITORY, describe

SMOKE = REPOSITORY / "scripts" / "smoke.py"
READY_WITHIN = 300.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCloud]:
    events = EventSubscriptions(function="take_events", path="api/events")
    description = describe().model_copy(update={"event_subscriptions": events})
    async with LocalCloud(description, tmp_path_factory.mktemp("another") / "data", without_app=True) as running:
        yield running


async def printed(data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", "settings", "--data", str(data)]
    return await asyncio.to_thread(subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(cloud: LocalCloud) -> str:
    answer = await printed(cloud.layout.data)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(cloud: LocalCloud, written: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a host with the files that are deployed to Azure, and settings only from the file."""
    folder = tmp_path_factory.mktemp("app")
    package(REPOSITORY, "examples/digits/promotion.yml", folder)
    (folder / "local.settings.json").write_text(written)
    port = str(cloud.layout.ports.functions)
    options = ["--app", str(folder), "--port", port, "--data", str(folder / "host"), "--no-auth"]
    kept = ("PATH", "HOME", "LD_PRELOAD", "CLOCK_AHEAD")  # the last two are of scripts/with_clock_ahead.sh
    nothing = {name: os.environ[name] for name in kept if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "localcloud", "functions", *options),
        cwd=REPOSITORY,
        env=nothing,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN):
            while b"functions ready on" not in (line := await process.stdout.readline()):
                assert line, "the host ended"
        reading = asyncio.ensure_future(process.stdout.read())
        yield cloud.layout.functions_url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    await reading


async def test_the_smoke_script_passes_with_any_key(cloud: LocalCloud, host: str) -> None:
    token = token_of(cloud.addresses, "alice")
    more = ("--token", token, "--workspace", cloud.layout.workspace_ids["dev"], "--model", "digits")
    command = [sys.executable, "-S", str(SMOKE), host, "any", *more]
    answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["ok"] * 9 + ["all"]


async def test_events_wait_for_it_and_come_when_it_is_there(cloud: LocalCloud, host: str) -> None:
    assert host
    deadline = time.monotonic() + READY_WITHIN
    while not all(each["validated"] for each in await subscriptions(cloud)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def subscriptions(cloud: LocalCloud) -> list[dict[str, Any]]:
    health = await json_answer(f"{cloud.layout.eventgrid_url}/health")
    assert health
    assert len(health["subscriptions"]) == 3
    return list(health["subscriptions"].values())


async def test_every_setting_in_the_file_is_one_that_something_reads(cloud: LocalCloud, written: str) -> None:
    content: dict[str, Any] = json.loads(written)
    assert content["IsEncrypted"] is False
    of_environments = {
        f"{name.upper()}_{what}" for name in cloud.layout.workspace_ids for what in ("WORKSPACE", "IDENTITY")
    }
    of_the_sdks = {"IDENTITY_HEADER", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    told = {setting.name for setting in (*documented(), *OF_THE_HOST)} | of_environments | of_the_sdks
    assert set(content["Values"]) <= told
    assert all(isinstance(value, str) for value in content["Values"].values())


async def test_the_file_has_what_core_tools_ask_for(written: str) -> None:
    """The language, storage for the timers, and a namespace that speaks without TLS on the port in its address."""
    values = json.loads(written)["Values"]
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert values["AzureWebJobsStorage"] == "UseDevelopmentStorage=true"
    assert values["ServiceBus"].startswith("Endpoint=sb://localhost:")
    assert "UseDevelopmentEmulator=true" in values["ServiceBus"]


async def test_without_a_local_cloud_it_is_told_what_to_start(tmp_path: Path) -> None:
    answer = await printed(tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert f"start `python -m localcloud up --without-app --data {tmp_path}` first" in answer.stderr


async def test_the_file_with_the_keys_goes_not_into_git() -> None:
    assert "local.settings.json" in (REPOSITORY / ".gitignore").read_text().splitlines()


async def token(data: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", "token", name, "--data", str(data)]
    return await asyncio.to_thread(subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


async def test_a_token_is_printed_for_the_people_of_the_cloud_and_for_nobody_else(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    of_alice = await token(cloud.layout.data, "alice")
    claims = jwt.decode(of_alice.stdout.strip(), options={"verify_signature": False})
    assert (claims["name"], claims["aud"]) == ("alice", cloud.layout.app_registration["client_id"])
    of_zoe = await token(cloud.layout.data, "zoe")
    assert (of_zoe.returncode, of_zoe.stdout) == (1, "")
    assert "There is no zoe in the local cloud, only alice, bob, dora." in of_zoe.stderr
    assert f"start `python -m localcloud up --data {tmp_path}` first" in (await token(tmp_path, "alice")).stderr
