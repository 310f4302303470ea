"""Teams that publish what they promote from folders of their own, with the command line as it is installed."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from examples.demo.promotions import Promotion
from mlpromote.statuses import ENDED
from shared.core.approval import APPROVE
from tests.config.teams import in_folder
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud
from tests.e2e.promoting import LONGEST, running_steps

PEOPLE = {
    "alice": {"roles": ["Promotion.Operator"]},
    "paul": {"roles": ["Promotion.Publisher", "Promotion.Reader"]},
    "carla": {"roles": ["Credit.Publisher", "Promotion.Reader"]},
    "bob": {"roles": ["Promotion.Approver"]},
}
TINY = Path(__file__).parent / "tiny"
ROUTES = """\
routes:
  scores:
    from: dev
    models: ["MODELS"]
    stages:
      - {environment: prod, endpoint: "{model}", deployment: deployments/tiny.yml, smoke: {requests: smoke.jsonl}}
"""
#: Fails for every model whose content is "broken".
BROKEN = '    if model == "broken":\n        raise RuntimeError("score.py cannot read this model")\n'
MENDED = ""


def files_of(models: str, more: str = MENDED) -> dict[str, bytes]:
    """A team's files; `more` stands at the end of the scoring code's `init`."""
    score = (TINY / "scoring" / "score.py").read_text()
    deployment = (TINY / "deployment.yml").read_text().replace("code: scoring", "code: ../scoring")
    return {
        "promotion.yml": ROUTES.replace("MODELS", models).encode(),
        "deployments/tiny.yml": deployment.encode(),
        "scoring/score.py": score.replace("\n\n\ndef run", f"\n{more}\n\ndef run").encode(),
        "smoke.jsonl": (TINY / "smoke.jsonl").read_bytes(),
    }


class Team:
    """A team: its source, its folder outside of this repository, and the person who publishes."""

    def __init__(self, cloud: Cloud, folder: Path, source: str, person: str) -> None:
        self._cloud = cloud
        self.folder = folder
        self.source = source
        self.person = person

    async def begin(self, model: str) -> None:
        """Make the repository with `init`, which passes the check as it is."""
        for words in (("init", model, "--folder", str(self.folder)), ("check", str(self.folder))):
            code, output, errors = await run(self._cloud, self.person, *words)
            assert code == 0, output + errors

    async def checked(self) -> Any:
        """What `check` says of the files as they are; they must have no fault."""
        return await command(self._cloud, self.person, "check", str(self.folder))

    def write(self, files: Mapping[str, bytes]) -> None:
        in_folder(self.folder, files)

    async def publish(self, *more: str) -> Any:
        """What counts afterwards; the team's command must succeed."""
        return await command(self._cloud, self.person, *self._arguments("publish", *more))

    async def tried(self, *words: str) -> tuple[int, str]:
        """How the team's command ends while the app may die, and what it says then; by default it publishes."""
        code, _, says = await run(self._cloud, self.person, *(words or self._arguments("publish")))
        return code, says

    async def refused(self, *more: str) -> str:
        """Why nothing was published."""
        code, _, says = await run(self._cloud, self.person, *self._arguments("publish", *more))
        assert code == 1, says
        return str(json.loads(says)["detail"])

    async def diff(self) -> Any:
        return await command(self._cloud, self.person, "diff", str(self.folder), "--source", self.source)

    async def shown(self) -> Any:
        return await command(self._cloud, self.person, "sources", self.source)

    def _arguments(self, name: str, *more: str) -> Sequence[str]:
        return (name, str(self.folder), "--source", self.source, "--reason", "a test", *more)


async def run(cloud: Cloud, person: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command line as one of the people; its exit code and what it printed."""
    local = str(cloud.parts.layout.data)
    words = (sys.executable, "-m", "mlpromote", *arguments, "--json", "--as", person, "--local", local)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def command(cloud: Cloud, person: str, *arguments: str) -> Any:
    code, output, errors = await run(cloud, person, *arguments)
    assert code == 0, errors
    return json.loads(output)


async def asked(cloud: Cloud, model: str) -> Promotion:
    """The promotion, once it waits for approval."""

    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, "1")
        assert found is None or found["status"] not in ENDED, f"{found['status']}: {found['reason']}"
        return found if found and APPROVE in running_steps(found) else None

    return await until(look, f"{model} waits for approval", LONGEST)


async def approve(cloud: Cloud, promotion: str) -> None:
    await command(cloud, "bob", "approve", promotion, "--reason", "fine")


async def again(cloud: Cloud, promotion: Promotion, why: str, by: str = "retry") -> str:
    """Have it tried again by this command; what its journal says of that."""
    await command(cloud, "alice", by, promotion["id"], "--reason", why)
    shown = await command(cloud, "alice", "show", promotion["id"])
    return str(next(entry["text"] for entry in reversed(shown["journal"]) if entry["what"] == "retried"))
