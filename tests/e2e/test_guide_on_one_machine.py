"""The section of docs/first-model.md for one machine: its commands, in its order, by the shell that people use."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from localcloud.up import Description, read_description
from tests.e2e.conftest import REPOSITORY, Cloud

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = REPOSITORY / "docs" / "first-model.md"
CLOUD = REPOSITORY / "examples" / "teams" / "localcloud.yml"


@pytest.fixture(scope="module")
def description() -> Description:
    """The cloud that the page starts, with deployments that take less time."""
    return read_description(CLOUD).model_copy(update={"deployment_seconds": 0.5})


def blocks() -> Sequence[str]:
    """The commands of the section, by block."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## On one machine\n")
    found = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in found]


def in_test(commands: str, data: Path, team: Path) -> str:
    """The commands with the cloud, the team's folder and the programs of the test."""
    local = shlex.quote(str(data))
    for old, new in (
        ("mlpromote env", f"mlpromote env --shell bash --local {local}"),
        ("examples.teams.submit", f"examples.teams.submit --data {local}"),
        ("../churn", shlex.quote(str(team))),
        (".venv/bin/", shlex.quote(f"{Path(sys.executable).parent}/")),
    ):
        assert old in commands, old
        commands = commands.replace(old, new)
    return commands


async def test_its_commands_take_a_model_to_production(cloud: Cloud, tmp_path: Path) -> None:
    start, follow = blocks()
    assert start == "make up CLOUD=examples/teams/localcloud.yml\n"
    team = tmp_path / "a team's repository"
    script = f"set -euo pipefail\n{in_test(follow, cloud.parts.layout.data, team)}"
    pipe, of_tests = asyncio.subprocess.PIPE, {*cloud.parts.layout.sign_in, "AZUREML_CURRENT_CLOUD"}
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name not in of_tests},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )
    output, errors = await shell.communicate()
    assert shell.returncode == 0, f"{output.decode()}\n{errors.decode()}"
    assert (await cloud.promotions.succeeded("churn"))["route"] == "team/churn"
    assert (team / "promotion.yml").is_file()
