"""docs/first-model.md: every command in it, in its order, in a folder outside of this repository."""

import asyncio
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from examples.demo.promotions import Promotion
from localcloud.up import Description
from mlpromote.statuses import ENDED
from shared.core.approval import APPROVE
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.promoting import LONGEST, running_steps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import load_job

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).parents[2] / "docs" / "first-model.md"
PEOPLE = {
    "alice": {"roles": ["Promotion.Operator", "Promotion.Publisher"]},
    "bob": {"roles": ["Promotion.Approver"]},
}
#: The page's address of an app, which is a local cloud's folder here.
AZURE = "--url https://NAME.azurewebsites.net --scope api://CLIENT-ID/.default"
#: A scoring script that answers, but wrongly.
WRONG = ('"predictions": [int(value)', '"predictions": [int(value) + 7')


@pytest.fixture(scope="module")
def description() -> Description:
    return describe("tests/e2e/guide/platform.yml", "dev", "test", "prod", people=PEOPLE)


def commands(section: str) -> Iterator[str]:
    """The commands of a section of the page, by its number."""
    found = re.search(rf"^## {section}\. .*?(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, section
    for block in re.findall(r"^```console\n(.*?)^```", found[0], re.MULTILINE | re.DOTALL):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


class Team:
    """A team that follows the page in a folder of its own."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self.folder = folder
        self.done: list[str] = []

    async def follow(self, section: str, *leave_out: str) -> None:
        """Run the section's commands; those that begin with one of `leave_out` the test does otherwise."""
        for line in commands(section):
            if not line.startswith(leave_out):
                await self.run(line)
            self.done.append(line)

    async def run(self, line: str, ends_with: int = 0) -> str:
        """Run one command as the person who may; return what it printed."""
        local = f"--local {shlex.quote(str(self._cloud.parts.layout.data))}"
        words = shlex.split(line.replace(AZURE, local))
        assert words[0] == "mlpromote", line
        needs_nobody = words[1] in ("init", "check", "context")
        person = [] if needs_nobody else ["--as", "bob" if words[1] == "approve" else "alice"]
        return await self._process([*words[1:], *person], ends_with)

    async def _process(self, arguments: Sequence[str], ends_with: int) -> str:
        pipe = asyncio.subprocess.PIPE
        alone = {name: value for name, value in os.environ.items() if not name.startswith(("MLPROMOTE_", "AZUREML_"))}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mlpromote", *arguments),
            cwd=self.folder,
            env={**alone, "XDG_CONFIG_HOME": str(self.folder.parent / "configuration")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        output, errors = await process.communicate()
        assert process.returncode == ends_with, f"{arguments}: {errors.decode()}{output.decode()}"
        return output.decode()

    async def train(self) -> None:
        """Submit the training job, as `az ml job create` does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            job = load_job(self.folder / "jobs" / "train.yml")
        assert await self._cloud.azure.run(job) == "Completed"

    def answer(self, wrongly: bool) -> None:
        """Have the scoring script give wrong or right answers."""
        file = self.folder / "scoring" / "score.py"
        before, after = WRONG if wrongly else WRONG[::-1]
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")

    async def promotion(self, version: str, asks: bool) -> Promotion:
        """The promotion of a version, once it asks for approval, or has ended."""

        async def look() -> Promotion | None:
            found = await self._cloud.promotions.find("churn", version)
            if found is None or (found["status"] in ENDED) is asks:
                assert not (found and asks), f"{found['status']}: {found['reason']}"
                return None
            return found if not asks or APPROVE in running_steps(found) else None

        return await until(look, f"churn/{version} asks for approval or has ended", LONGEST)


async def test_the_guide_leads_a_model_from_a_new_repository_to_production(cloud: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "a team's repository"
    folder.mkdir()
    team = Team(cloud, folder)
    await team.follow("1", "pip install")
    assert "no faults" in await team.run("mlpromote check")
    await team.follow("2")
    assert "alice" in await team.run("mlpromote login")
    await team.follow("3")
    await team.train()
    await team.follow("4", "az ml job create")
    await team.promotion("1", asks=True)
    await team.follow("5")
    assert (await cloud.promotions.succeeded("churn"))["route"] == "churn-team/churn"
    await team.follow("6")

    team.answer(wrongly=True)
    await team.run("mlpromote publish --reason worse")
    await team.train()
    assert (await team.promotion("2", asks=False))["status"] == "refused"
    team.answer(wrongly=False)
    await team.follow("7")
    await team.promotion("2", asks=True)
    assert len(team.done) == len([line for number in range(1, 8) for line in commands(str(number))]) == 21
