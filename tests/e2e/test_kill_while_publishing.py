"""`kill -9` of the app at each point of publishing, and of what follows from it: nothing is lost, and nothing is half.

The app stops at the point, and is killed while it stands there; no test waits for time.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from localcloud.up import Description
from shared.cloud.sqlite_bundles import SqliteBundles
from shared.config import bundle
from shared.ports import Publication
from tests.e2e import stopping_app
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import killed
from tests.e2e.promoting import journal
from tests.e2e.publishing import BROKEN, PEOPLE, Team, again, approve, asked, command, files_of
from tests.e2e.stopping_app import Stops

pytestmark = pytest.mark.asyncio(loop_scope="module")

_NEVER = "    raise RuntimeError('never deploy this')\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stopping")


@pytest.fixture(scope="module")
def stops(folder: Path) -> Stops:
    return Stops(folder / "stops")


@pytest.fixture(scope="module")
def unpacked(folder: Path) -> Path:
    """Where the app has the files of bundles."""
    (folder / "temporary").mkdir()
    return folder / "temporary" / "mlpromote-bundles"


@pytest.fixture(scope="module")
def description(folder: Path, stops: Stops, unpacked: Path) -> Description:
    described = describe("tests/e2e/teams/platform.yml", "dev", "prod", people=PEOPLE)
    assert described.app is not None
    copy = stopping_app.make(folder / "app")
    own = copy / "platform.yml"
    shutil.copyfile(Path(__file__).parent / "teams" / "platform.yml", own)
    settings = {
        **described.app.settings,
        "MLPROMOTE_CONFIGURATION": own.name,
        stopping_app.FOLDER: str(stops.folder),
        "TMPDIR": str(unpacked.parent),
    }
    app = described.app.model_copy(update={"folder": copy, "settings": settings})
    return described.model_copy(update={"app": app})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(cloud: Cloud, folder: Path) -> Team:
    """A team that has published."""
    churn = Team(cloud, folder / "churn", "churn-team", "paul")
    churn.write(files_of("churn-*"))
    await churn.publish()
    return churn


@pytest_asyncio.fixture(loop_scope="module")
async def churn(published: Team, stops: Stops) -> AsyncIterator[Team]:
    """The team with the app that stops nowhere, whatever the test before has left."""
    stops.go_on()
    yield published
    stops.go_on()


async def killed_there(cloud: Cloud, stops: Stops, point: str) -> None:
    """Kill the app while it stands at the point, and start it again; it stops nowhere any more."""
    await stops.reached(point)
    await cloud.parts.kill("functions")
    stops.go_on()
    await cloud.parts.restart("functions")


async def counts(team: Team) -> str:
    return str((await team.shown())["published"]["digest"])


def edited(word: str) -> Mapping[str, bytes]:
    return files_of("churn-*", f"    print({word!r})\n")


def by_name(files: Mapping[str, bytes]) -> str:
    return bundle.digest_of(dict(files))


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest.mark.parametrize(
    ("point", "is_new"),
    [("kept", False), ("moving", False), ("moved", True)],
    ids=["the bundle is stored", "the pointer is moving", "the pointer has moved"],
)
async def test_killed_while_publishing_either_the_old_bundle_counts_or_the_new_one(
    cloud: Cloud, churn: Team, stops: Stops, point: str, is_new: bool
) -> None:
    old, new = await counts(churn), by_name(edited(point))
    churn.write(edited(point))
    stops.at(point)
    publishing = asyncio.create_task(churn.tried())
    await killed_there(cloud, stops, point)
    code, says = await publishing
    assert code != 0, says
    assert await counts(churn) == (new if is_new else old)
    assert (await churn.publish())["published"]["digest"] == new, "it can be published again"
    history = [each["digest"] for each in (await churn.shown())["history"]]
    assert history.count(new) == 1, "nothing was published twice"
    assert history[1] == old


async def test_killed_before_a_moved_pointer_is_taken_up_the_new_bundle_counts(
    cloud: Cloud, churn: Team, stops: Stops
) -> None:
    """Another instance has moved the pointer; this one has read it, and has not begun to use it."""
    files = dict(edited("elsewhere"))
    new = bundle.digest_of(files)
    stored = SqliteBundles(cloud.parts.layout.data / "promotions.sqlite")
    before = stored.pointer("churn-team")
    assert before
    stored.keep(new, bundle.archived(files))
    stops.at("taking-up")
    stored.publish("churn-team", Publication(new, "id-x", "another", "a test", before.publications[0].at), before)
    looking = asyncio.create_task(churn.tried("sources", "churn-team"))
    await killed_there(cloud, stops, "taking-up")
    await looking
    assert await counts(churn) == new
    await cloud.azure.register("churn-elsewhere", "1")
    assert (await asked(cloud, "churn-elsewhere"))["bundle"] == new


async def test_killed_while_it_fetches_a_bundle_half_of_it_is_never_used(
    cloud: Cloud, churn: Team, stops: Stops, unpacked: Path
) -> None:
    churn.write(edited("fetched"))
    new = (await churn.publish())["published"]["digest"]
    # As on a machine that has not seen this bundle.
    await cloud.parts.kill("functions")
    shutil.rmtree(unpacked)
    await cloud.parts.restart("functions")
    stops.at("unpacked")
    await cloud.azure.register("churn-fetched", "1")
    await stops.reached("unpacked")
    there = names_in(unpacked)
    assert there, "it stands between unpacking the bundle and giving the folder its name"
    assert new not in there
    await killed_there(cloud, stops, "unpacked")
    waiting = await asked(cloud, "churn-fetched")
    assert waiting["bundle"] == new
    assert bundle.digest_of(bundle.files_in(unpacked / new)) == new
    await approve(cloud, waiting["id"])
    await cloud.promotions.succeeded("churn-fetched")


async def test_killed_while_a_command_of_the_old_bundle_is_under_way_the_promotion_keeps_it(
    cloud: Cloud, churn: Team
) -> None:
    await cloud.azure.register("churn-kept", "1")
    before = await asked(cloud, "churn-kept")
    call = await cloud.azure.hold("PUT", "*/onlineendpoints/churn-kept/deployments/*")
    await approve(cloud, before["id"])
    await call.reached()
    churn.write(files_of("churn-*", _NEVER))
    newest = (await churn.publish())["published"]["digest"]
    assert await counts(churn) == newest != before["bundle"]
    assert await call.is_under_way(), "the app deploys from the old bundle"
    await killed(cloud)
    after = await cloud.promotions.succeeded("churn-kept")
    assert (after["bundle"], await counts(churn)) == (before["bundle"], newest)
    assert len(await cloud.azure.deployments("prod", "churn-kept")) == 1
    await churn.publish("--back")


async def test_killed_as_a_replay_with_other_files_begins_it_validates_them_and_asks_once_more(
    cloud: Cloud, churn: Team
) -> None:
    churn.write(files_of("churn-*", BROKEN))
    broken = (await churn.publish())["published"]["digest"]
    await cloud.azure.register("churn-again", "1", "broken")
    first = await asked(cloud, "churn-again")
    assert first["bundle"] == broken
    await approve(cloud, first["id"])
    failed = await cloud.promotions.failed("churn-again")
    churn.write(edited("mended"))
    mended = (await churn.publish())["published"]["digest"]

    call = await cloud.azure.hold("GET", "*/onlineendpoints/churn-again")
    assert "scoring/score.py changed" in await again(cloud, failed, "mended")
    await call.reached()
    assert await call.is_under_way(), "validate looks at the endpoint"
    await killed(cloud)
    waiting = await asked(cloud, "churn-again")
    [stage] = waiting["stages"]
    assert waiting["bundle"] == mended
    assert stage["approval"]["given"] == [], "the approval of the broken files does not count"
    assert stage["approval"]["evidence"] != first["stages"][0]["approval"]["evidence"]
    await approve(cloud, waiting["id"])
    assert journal(await cloud.promotions.succeeded("churn-again")).count("retried") == 1
    assert await cloud.azure.answer("prod", "churn-again", {"x": 1}) == {"model": "broken"}
    shown = await command(cloud, "alice", "show", waiting["id"])
    assert [each["what"] for each in shown["journal"]].count("retried") == 1
