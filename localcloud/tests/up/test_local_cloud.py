"""The real parts, all of them, from one description: addresses, rights, crashes, restarts and the end."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from localcloud.configuration_file import ConfigurationError
from localcloud.http_server import bind, port_of
from localcloud.up import Description, LocalCloud, Ports
from localcloud.up.ports import choose_ports

DEADLINE = 300.0
DESCRIPTION: dict[str, Any] = {
    "registry": "contoso-ml",
    "environments": {
        name: {"subscription": f"sub-{name}", "resource_group": f"rg-{name}", "workspace": f"ws-{name}"}
        for name in ("dev", "test")
    },
    "people": {"alice": {}},
    "queues": ["promotion-events"],
    # The interpreter of jobs and deployments; none run here.
    "azureml": {"python": sys.executable},
}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(Description.model_validate(DESCRIPTION), tmp_path / "data") as one:
        yield one


async def test_all_that_it_keeps_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with LocalCloud(Description.model_validate(DESCRIPTION), data):
        kept = [data, *data.rglob("*")]
        modes = {str(path): oct(stat.S_IMODE(path.lstat().st_mode)) for path in kept if not path.is_symlink()}
    assert {path: mode for path, mode in modes.items() if mode not in ("0o700", "0o600")} == {}
    assert {"servicebus.sqlite", "state.sqlite", "identity.log", "addresses.json"} <= {path.name for path in kept}


async def status_of_workspace(addresses: dict[str, Any], workspace: str, caller: str) -> int:
    """The HTTP status that a caller gets who asks for a workspace with a token from the identity part."""
    identity, azureml = addresses["identity"], addresses["azureml"]
    query = {
        "api-version": "2019-08-01",
        "resource": azureml["cloud"]["resource_manager"],
        "client_id": identity["client_ids"][caller],
    }
    trust = ssl.create_default_context(cafile=azureml["ca_file"])
    async with aiohttp.ClientSession() as session:
        header = {"X-IDENTITY-HEADER": identity["header"]}
        async with session.get(identity["endpoint"], params=query, headers=header) as answer:
            token = (await answer.json())["access_token"]
        url = azureml["url"] + addresses["workspaces"][workspace]
        async with session.get(url, headers={"Authorization": f"Bearer {token}"}, ssl=trust) as answer:
            return answer.status


async def test_the_parts_know_each_other(cloud: LocalCloud) -> None:
    addresses = json.loads((cloud.layout.data / "addresses.json").read_text())
    assert addresses == cloud.addresses
    assert set(addresses["pids"]) == {"identity", "servicebus", "eventgrid", "azureml"}
    assert await status_of_workspace(addresses, "dev", caller="dev") == 200
    assert await status_of_workspace(addresses, "dev", caller="test") == 403
    assert await status_of_workspace(addresses, "dev", caller="alice") == 200


async def test_a_killed_part_returns_with_its_address_and_is_noted(cloud: LocalCloud) -> None:
    before = cloud.addresses
    await cloud.kill("identity")
    assert "identity" not in cloud.addresses["pids"]
    await cloud.restart("identity")
    after = json.loads((cloud.layout.data / "addresses.json").read_text())
    assert after["pids"]["identity"] != before["pids"]["identity"]
    assert {**after, "pids": {}} == {**before, "pids": {}}
    assert await status_of_workspace(after, "dev", caller="dev") == 200


async def test_a_second_cloud_runs_beside_the_first_but_not_in_its_folder(cloud: LocalCloud, tmp_path: Path) -> None:
    description = Description.model_validate(DESCRIPTION)
    with pytest.raises(ConfigurationError, match="Another local cloud"):
        await LocalCloud(description, cloud.layout.data).start()
    async with LocalCloud(description, tmp_path / "other") as other:
        assert not set(other.layout.ports.__dict__.values()) & set(cloud.layout.ports.__dict__.values())
    assert await status_of_workspace(cloud.addresses, "dev", caller="dev") == 200


async def test_ports_and_secrets_are_the_same_after_a_restart(tmp_path: Path) -> None:
    description = Description.model_validate(DESCRIPTION)
    found = []
    for _ in range(2):
        async with LocalCloud(description, tmp_path / "data") as cloud:
            found.append({**cloud.addresses, "pids": {}})
    assert found[0] == found[1]
    assert not (tmp_path / "data" / "addresses.json").exists()


def test_a_wanted_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with bind(0) as other:
        other.listen()
        taken = port_of(other)
        with pytest.raises(ConfigurationError, match=f"azureml {taken}") as refused:
            choose_ports(Ports(azureml=taken), tmp_path)
    assert str(refused.value).endswith(f": python -m localcloud up --data {tmp_path} --azureml-port 0")


async def test_an_app_folder_without_an_app_is_refused_before_anything_runs(tmp_path: Path) -> None:
    description = Description.model_validate({**DESCRIPTION, "app": {"folder": str(tmp_path)}})
    with pytest.raises(ConfigurationError, match="no Functions app"):
        await LocalCloud(description, tmp_path / "data").start()


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def up(folder: Path) -> asyncio.subprocess.Process:
    """The command, started in its own process, with all parts ready."""
    (folder / "localcloud.yml").write_text(yaml.safe_dump(DESCRIPTION))
    free = [f"--{part}-port=0" for part in ("servicebus", "azureml", "eventgrid", "identity", "functions")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "localcloud", "up", "--config", str(folder / "localcloud.yml")),
        *("--data", str(folder / "data"), *free),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        async for line in process.stdout:
            if b"machine-readable" in line:
                break
    assert process.returncode is None
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)])
async def test_no_part_outlives_the_command(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = await up(tmp_path)
    pids = json.loads((tmp_path / "data" / "addresses.json").read_text())["pids"].values()
    assert len(pids) == 4
    process.send_signal(number)
    async with asyncio.timeout(DEADLINE):
        assert await process.wait() == code
        while any(runs(pid) for pid in pids):  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.02)
