"""The smoke script against the local cloud, and against something other than the app."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from localcloud.up.token import token_of
from tests.functions.running import REPOSITORY, describe

SMOKE = REPOSITORY / "scripts" / "smoke.py"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(describe(), tmp_path_factory.mktemp("smoke") / "data") as running:
        yield running


async def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(SMOKE), *arguments]  # -S: without anything that is installed
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)


async def test_everything_is_driven_with_a_key_and_a_token(cloud: LocalCloud) -> None:
    addresses = cloud.addresses
    token, workspace = token_of(addresses, "alice"), addresses["workspaces"]["dev"]
    more = ("--token", token, "--workspace", workspace, "--model", "digits")
    answer = await smoke(addresses["functions"]["url"], addresses["functions"]["keys"]["master"], *more)
    assert answer.returncode == 0, answer.stdout
    verdicts = [line.split()[0] for line in answer.stdout.splitlines()]
    assert verdicts == ["ok"] * 9 + ["all"]
    assert "There is no model digits" in answer.stdout
    assert token not in answer.stdout


async def test_a_key_alone_is_enough_for_what_changes_nothing(cloud: LocalCloud) -> None:
    functions = cloud.addresses["functions"]
    answer = await smoke(functions["url"], functions["keys"]["default"])
    assert answer.returncode == 0, answer.stdout
    verdicts = [line.split()[0] for line in answer.stdout.splitlines()]
    assert verdicts == ["ok"] * 6 + ["skip"] * 3 + ["all"]


async def test_a_wrong_key_is_reported(cloud: LocalCloud) -> None:
    answer = await smoke(cloud.addresses["functions"]["url"], "another-key", "--timeout", "1")
    assert answer.returncode == 1
    assert "FAIL  the app answers" in answer.stdout
    assert "the status should be 200, but is 401: the key is wrong" in answer.stdout


async def test_an_unreachable_app_ends_the_run(unused_tcp_port: int) -> None:
    answer = await smoke(f"http://127.0.0.1:{unused_tcp_port}", "key", "--timeout", "0.5")
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1] == "1 failed"
    assert len(answer.stdout.splitlines()) == 2


async def test_an_address_without_a_scheme_is_a_wrong_argument(tmp_path: Path) -> None:
    answer = await smoke("localhost:7071", "key")
    assert answer.returncode == 2
    assert "URL must start with" in answer.stderr
