"""Two teams publish what they promote from folders of their own; the app is not deployed anew for it.

Each test uses models of its own.
"""

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio

from localcloud.up import Description
from shared.cloud.sqlite_bundles import SqliteBundles
from shared.config import bundle
from shared.ports import Publication
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held
from tests.e2e.promoting import failure
from tests.e2e.publishing import BROKEN, MENDED, PEOPLE, Team, again, approve, asked, files_of, run
from tests.e2e.stopping_app import AT_ONCE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """The app reads the pointers whenever it is asked for them: no test waits until what it remembers is old."""
    described = describe("tests/e2e/teams/platform.yml", "dev", "prod", people=PEOPLE)
    return held(described, tmp_path_factory.mktemp("teams") / "app", AT_ONCE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teams(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[Team, Team]:
    """Both have a repository from `init`, with models of their own in it, and have published."""
    churn = Team(cloud, tmp_path_factory.mktemp("churn"), "churn-team", "paul")
    credit = Team(cloud, tmp_path_factory.mktemp("credit"), "credit-team", "carla")
    await asyncio.gather(churn.begin("churn"), credit.begin("credit"))
    churn.write(files_of("churn-*", BROKEN))
    credit.write(files_of("credit-*"))
    for team, models in ((churn, "churn-*"), (credit, "credit-*")):
        assert (await team.checked())["routes"] == [f"scores: {models}: dev → prod"]
        await team.publish()
    return churn, credit


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
    assert "scoring/score.py changed, so earlier approvals no longer count" in await again(
        cloud, failed, "mended", by="replay"
    )
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

    found = await until(is_seen, "the app has seen the bad bundle")
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
