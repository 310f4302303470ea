"""Two teams publish what they promote from folders of their own; the app is not deployed anew for it.

They use the command line as it is installed. Each test uses models of its own.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from mlpromote.statuses import ENDED
from shared.cloud.sqlite_bundles import SqliteBundles
from shared.config import bundle
from shared.core.approval import APPROVE
from shared.ports import Publication
from tests.config.teams import in_folder
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.promoting import LONGEST, failure, running_steps

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest.fixture(scope="module")
def description() -> Description:
    return describe("tests/e2e/teams/platform.yml", "dev", "prod", people=PEOPLE)


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

    def write(self, files: Mapping[str, bytes]) -> None:
        in_folder(self.folder, files)

    async def publish(self, *more: str) -> Any:
        """What counts afterwards; the team's command must succeed."""
        return await command(self._cloud, self.person, *self._arguments("publish", *more))

    async def tried(self) -> tuple[int, str]:
        """How the team's command ends while the app may die, and what it says then."""
        code, _, says = await run(self._cloud, self.person, *self._arguments("publish"))
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teams(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[Team, Team]:
    """Both have published."""
    churn = Team(cloud, tmp_path_factory.mktemp("churn"), "churn-team", "paul")
    credit = Team(cloud, tmp_path_factory.mktemp("credit"), "credit-team", "carla")
    churn.write(files_of("churn-*", BROKEN))
    credit.write(files_of("credit-*"))
    await asyncio.gather(churn.publish(), credit.publish())
    return churn, credit


async def asked(cloud: Cloud, model: str) -> Promotion:
    """The promotion, once it waits for approval."""

    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, "1")
        assert found is None or found["status"] not in ENDED, f"{found['status']}: {found['reason']}"
        return found if found and APPROVE in running_steps(found) else None

    return await until(look, f"{model} waits for approval", LONGEST)


async def approve(cloud: Cloud, promotion: str) -> None:
    await command(cloud, "bob", "approve", promotion, "--reason", "fine")


async def again(cloud: Cloud, promotion: Promotion, why: str) -> str:
    """Have it replayed; what its journal says of that."""
    await command(cloud, "alice", "retry", promotion["id"], "--reason", why)
    shown = await command(cloud, "alice", "show", promotion["id"])
    return str(next(entry["text"] for entry in reversed(shown["journal"]) if entry["what"] == "retried"))


async def test_two_teams_promote_and_one_mends_its_scoring_code(cloud: Cloud, teams: tuple[Team, Team]) -> None:
    churn, _ = teams
    await asyncio.gather(cloud.azure.register("churn-eu", "1", "broken"), cloud.azure.register("credit-eu", "1"))
    first, other = await asyncio.gather(asked(cloud, "churn-eu"), asked(cloud, "credit-eu"))
    assert (first["route"], other["route"]) == ("churn-team/scores", "credit-team/scores")
    assert first["bundle"] == (await churn.shown())["published"]["digest"] != other["bundle"]
    await asyncio.gather(approve(cloud, first["id"]), approve(cloud, other["id"]))
    await cloud.promotions.succeeded("credit-eu")
    failed = await cloud.promotions.failed("churn-eu")
    assert "score.py cannot read this model" in failure(failed)["diagnosis"]

    churn.write(files_of("churn-*", MENDED))
    [change] = (await churn.diff())["changes"]
    assert (change["change"], change["files"], change["settings"]) == ("changed", ["scoring/score.py"], [])
    newest = (await churn.publish())["published"]["digest"]
    assert "scoring/score.py changed, so earlier approvals no longer count" in await again(cloud, failed, "mended")
    waiting = await asked(cloud, "churn-eu")
    assert waiting["bundle"] == newest
    await approve(cloud, waiting["id"])
    await cloud.promotions.succeeded("churn-eu")
    assert await cloud.azure.answer("prod", "churn-eu", {"x": 1}) == {"model": "broken"}


async def test_a_bundle_cannot_soften_a_policy(teams: tuple[Team, Team]) -> None:
    churn, _ = teams
    files = files_of("churn-*")
    softer = b"environments: {prod: {policy: {approvals: 0}}}\n"
    counts = (await churn.shown())["published"]["digest"]
    churn.write({**files, "promotion.yml": softer + files["promotion.yml"]})
    assert "environments: belongs to the app's platform.yml" in await churn.refused()
    churn.write(files)
    assert (await churn.shown())["published"]["digest"] == counts


async def test_the_second_team_on_a_model_is_told_of_the_first(teams: tuple[Team, Team]) -> None:
    _, credit = teams
    credit.write(files_of("churn-*"))
    says = await credit.refused()
    credit.write(files_of("credit-*"))
    assert "models of dev named churn-* are promoted by churn-team/scores already" in says


async def test_a_bad_bundle_put_by_hand_does_not_count_and_the_doctor_says_so(
    cloud: Cloud, teams: tuple[Team, Team]
) -> None:
    churn, _ = teams
    good = await churn.publish()
    stored = SqliteBundles(cloud.parts.layout.data / "promotions.sqlite")
    bad = {**files_of("churn-*"), "promotion.yml": b"routes: {scores: {from: nowhere}}\n"}
    stored.keep(bundle.digest_of(bad), bundle.archived(bad))
    before = stored.pointer("churn-team")
    assert before
    newest = before.publications[0]
    by_hand = Publication(bundle.digest_of(bad), "", "somebody", "by hand", newest.at)
    stored.publish("churn-team", by_hand, before)

    async def is_seen() -> Any:
        found = await churn.shown()
        return found if found["trouble"] else None

    found = await until(is_seen, "the app has seen the bad bundle", 60)
    assert found["published"]["digest"] == good["published"]["digest"]
    code, output, errors = await run(cloud, "alice", "doctor")
    assert code == 1, output + errors
    [check] = [each for each in json.loads(output)["checks"] if each["what"] == "source" and not each["ok"]]
    assert check["name"] == "churn-team"
    assert "unknown environment 'nowhere'" in check["says"]
    await cloud.azure.register("churn-good", "1")
    assert (await asked(cloud, "churn-good"))["bundle"] == good["published"]["digest"]
    await churn.publish("--back")
    assert (await churn.shown())["trouble"] is None


async def test_a_pointer_goes_back(cloud: Cloud, teams: tuple[Team, Team]) -> None:
    churn, _ = teams
    before = (await churn.publish())["published"]["digest"]
    churn.write(files_of("churn-*", "    print('new')\n"))
    after = (await churn.publish())["published"]["digest"]
    assert after != before
    assert (await churn.publish("--back"))["published"]["digest"] == before
    shown = await churn.shown()
    assert [(each["digest"], each["back"]) for each in shown["history"][:2]] == [(before, True), (after, False)]
    await cloud.azure.register("churn-back", "1")
    assert (await asked(cloud, "churn-back"))["bundle"] == before


async def test_publishing_while_the_app_is_killed_leaves_the_old_bundle_or_the_new_one(
    cloud: Cloud, teams: tuple[Team, Team]
) -> None:
    _, credit = teams
    before = (await credit.shown())["published"]["digest"]
    after = ""
    for attempt, seconds in enumerate((0.9, 1.3, 1.7)):  # a command takes about two seconds; each dies elsewhere
        credit.write(files_of("credit-*", f"    print({attempt})\n"))
        publishing = asyncio.create_task(credit.tried())
        await asyncio.sleep(seconds)
        await cloud.parts.kill("functions")
        code, says = await publishing
        await cloud.parts.restart("functions")
        counts = (await credit.shown())["published"]["digest"]
        after = bundle.digest_of(files_of("credit-*", f"    print({attempt})\n"))
        assert counts in (before, after), says
        assert code != 0 or counts == after
        assert (await credit.publish())["published"]["digest"] == after, "it can be published again"
        before = after
    history = [each["digest"] for each in (await credit.shown())["history"]]
    assert len(history) == len(set(history)), "nothing was published twice"


async def test_a_promotion_keeps_its_bundle_whatever_is_published_and_whenever_the_app_is_killed(
    cloud: Cloud, teams: tuple[Team, Team]
) -> None:
    churn, _ = teams
    await cloud.azure.register("churn-kept", "1")
    before = await asked(cloud, "churn-kept")
    held = await cloud.azure.hold("PUT", "*/onlineendpoints/churn-kept/deployments/*")
    await approve(cloud, before["id"])
    await held.reached(LONGEST)
    churn.write(files_of("churn-*", BROKEN + "    raise RuntimeError('never deploy this')\n"))
    newest = (await churn.publish())["published"]["digest"]
    await cloud.parts.kill("functions")
    await cloud.parts.restart("functions")
    after = await cloud.promotions.succeeded("churn-kept")
    assert after["bundle"] == before["bundle"] != newest
    assert (await churn.shown())["published"]["digest"] == newest
    await churn.publish("--back")
