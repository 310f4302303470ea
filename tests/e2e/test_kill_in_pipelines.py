"""`kill -9` of the app in the middle of each step that promotes a pipeline. `test_evaluate.py` has it for evaluations.

As in `test_kill_the_app.py`, the app is inside a call to Azure whose work is done and whose answer is held back. It is
killed twice: while one pipeline is rebuilt, another inspected and the data of a third copied, and while one is
submitted and another's model is being registered.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.azure import HeldCall, client_of, until
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import journal
from tests.e2e.test_pipelines import CURATED, approve
from tests.rows_pipeline import code_in, register_rows, submit

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By route: the step in which its promotion is caught, and the call that is held.
CAUGHT = {
    "rebuilds": ("register_components", "PUT", "*/registries/contoso-ml/components/rebuilds_*"),
    "inspects": ("inspect", "GET", "*/data/inspected*"),
    "shares": ("share_data", "POST", "*/registries/contoso-ml/import"),
    "runs": ("run", "PUT", "*/jobs/runs-*"),
    "registers": ("register_model", "PUT", "*/models/tiny-registers/versions/*"),
}
#: They are killed together. Those of the second wait for approval first.
FIRST, SECOND = ("rebuilds", "inspects", "shares"), ("runs", "registers")


@dataclass(frozen=True)
class Aftermath:
    """What became of the promotions, by route."""

    caught: Mapping[str, bool]  #: whether the app was inside the step, waiting for Azure, when it was killed
    ends: Mapping[str, Promotion]


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    people = {"alice": {}, "bob": {"roles": ["Promotion.Approver"]}}
    described = describe("tests/e2e/killed/promotion.yml", "dev", "prod", people=people)
    return held(described, tmp_path_factory.mktemp("pipelines") / "app")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    folder = tmp_path_factory.mktemp("rows")
    await asyncio.to_thread(register_rows, cloud.azure.dev, folder / "data", "sample", 10)
    for name in ("production", "inspected"):
        await asyncio.to_thread(register_rows, client_of(cloud.parts.addresses, "prod"), folder / "data", name, 100)
    code = code_in(folder / "code")
    jobs = {route: await submitted(cloud, code, route) for route in SECOND}
    for route, job in jobs.items():
        await waits_for_approval(cloud, route, job)
    calls = await hold(cloud, FIRST)
    jobs |= {route: await submitted(cloud, code, route) for route in FIRST}
    caught = await killed_inside(cloud, calls, jobs)
    calls = await hold(cloud, SECOND)
    for route in SECOND:
        await approve(cloud, (await found(cloud, route, jobs[route]))["id"])
    caught |= await killed_inside(cloud, calls, jobs)
    ends = [await cloud.promotions.ended(route, job, "pipeline") for route, job in jobs.items()]
    yield Aftermath(caught, dict(zip(jobs, ends, strict=True)))


async def submitted(cloud: Cloud, code: Path, route: str) -> str:
    """The name of a new job: another loss, so that no step that logs metrics is reused."""
    loss = 1 + list(CAUGHT).index(route) / 10
    return await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, loss, route)


async def hold(cloud: Cloud, routes: tuple[str, ...]) -> dict[str, HeldCall]:
    return {route: await cloud.azure.hold(*CAUGHT[route][1:]) for route in routes}


async def killed_inside(cloud: Cloud, calls: Mapping[str, HeldCall], jobs: Mapping[str, str]) -> dict[str, bool]:
    """Kills the app once it has made the calls, and starts it again."""
    caught = {}
    for route, first in calls.items():
        step, promotion = CAUGHT[route][0], (route, jobs[route], "pipeline")
        call = await caught_in(cloud, step, first, *promotion)
        caught[route] = await is_inside(cloud, step, call, *promotion)
    await killed(cloud)
    return caught


async def found(cloud: Cloud, route: str, job: str) -> Promotion:
    return await until(lambda: cloud.promotions.find(route, job, "pipeline"), f"the promotion of {job}")


async def waits_for_approval(cloud: Cloud, route: str, job: str) -> None:
    async def look() -> bool:
        promotion = await cloud.promotions.find(route, job, "pipeline")
        return bool(promotion and promotion["waits"] and "approval" in promotion["waits"][0]["for"])

    await until(look, f"the promotion of {job} waits for approval")


@pytest.mark.parametrize("route", CAUGHT)
async def test_a_promotion_goes_on_to_its_end_with_each_step_done_once(aftermath: Aftermath, route: str) -> None:
    step = CAUGHT[route][0]
    assert aftermath.caught[route], f"the app was not in the middle of {step} when it was killed"
    promotion = aftermath.ends[route]
    assert promotion["status"] == "succeeded", promotion["reason"]
    done = [line.removeprefix("step-succeeded ") for line in journal(promotion) if line.startswith("step-succeeded ")]
    shared = ["share_data"] * (route == "shares")
    assert done == ["register_components", *shared, "inspect", "run", "compare", "register_model"]


async def test_the_data_was_copied_once_and_no_other(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.ends["shares"]["status"] == "succeeded"
    assert await cloud.azure.registry_versions("sample", "data") == ["3"]
    for kept in ("production", "inspected"):
        assert await cloud.azure.registry_versions(kept, "data") == []


@pytest.mark.parametrize("route", CAUGHT)
async def test_each_pipeline_ran_once_in_prod_and_left_one_model(
    cloud: Cloud, aftermath: Aftermath, route: str
) -> None:
    promotion, prod = aftermath.ends[route]["id"], cloud.parts.addresses["workspaces"]["prod"]
    jobs = await cloud.azure.call("GET", f"{prod}/jobs")
    assert jobs
    assert [job["name"] for job in jobs["value"] if promotion in job["name"]] == [f"{promotion}-prod-run-1"]
    models = await cloud.azure.call("GET", f"{prod}/models/tiny-{route}/versions")
    assert models
    assert [model["name"] for model in models["value"]] == ["1"]
