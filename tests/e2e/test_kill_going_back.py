"""`kill -9` of the app while a pipeline's run is compared, cancelled, and taken back.

As in `test_kill_in_pipelines.py`: the app is inside a call to Azure whose work is done and whose answer is held back.
All three are caught, and the app is killed once.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.azure import client_of, until
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import journal, running_steps
from tests.e2e.test_pipelines import CURATED
from tests.rows_pipeline import code_in, register_rows, submit

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By route: the step in which its promotion is caught, and the call that is held.
CAUGHT = {
    "compares": ("compare", "POST", "*/ws-prod/*/runs/search"),
    "cancels": ("cancel_job", "POST", "*/jobs/cancels-*/cancel"),
    "withdraws": ("withdraw", "GET", "*/ws-prod/models/tiny-withdraws/versions*"),
}
#: Of the data set on which the pipeline does not come to an end.
ENDLESS = 1000
WAITS_LONG = f"import time\nif len(rows) >= {ENDLESS}: time.sleep(600)\n"


@dataclass(frozen=True)
class Aftermath:
    """What became of the promotions, by route."""

    caught: Mapping[str, bool]  #: whether the app was inside the step, waiting for Azure, when it was killed
    ends: Mapping[str, Promotion]
    first: Promotion  #: that `withdraws` had before, which serves again


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    people = {"alice": {"roles": ["Promotion.Operator"]}}
    described = describe("tests/e2e/killed/backwards.yml", "dev", "prod", people=people)
    return held(described, tmp_path_factory.mktemp("backwards") / "app")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    folder = tmp_path_factory.mktemp("rows")
    await asyncio.to_thread(register_rows, cloud.azure.dev, folder / "data", "sample", 10)
    for name, rows in (("production", 100), ("endless", ENDLESS)):
        await asyncio.to_thread(register_rows, client_of(cloud.parts.addresses, "prod"), folder / "data", name, rows)
    code = code_in(folder / "code")
    train = code / "train.py"
    train.write_text(f"{train.read_text()}{WAITS_LONG}")
    first, second = [await served(cloud, code, loss) for loss in (1.0, 1.1)]
    jobs = {"withdraws": second["version"]}
    jobs["cancels"] = await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, 1.2, "cancels")
    cancelled = await running(cloud, "cancels", jobs["cancels"], "run")

    calls = {route: await cloud.azure.hold(*call[1:]) for route, call in CAUGHT.items()}
    jobs["compares"] = await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, 1.3, "compares")
    await cloud.promotions.accepted(cancelled["id"], "cancel", reason="a test")
    await cloud.promotions.accepted(second["id"], "roll-back", reason="a test")
    caught = {}
    for route, held_first in calls.items():
        step, promotion = CAUGHT[route][0], (route, jobs[route], "pipeline")
        call = await caught_in(cloud, step, held_first, *promotion)
        caught[route] = await is_inside(cloud, step, call, *promotion)
    await killed(cloud)
    ends = {route: await cloud.promotions.ended(route, job, "pipeline") for route, job in jobs.items()}
    yield Aftermath(caught, ends, first)


async def served(cloud: Cloud, code: Path, loss: float) -> Promotion:
    """A promotion of the route `withdraws` that has succeeded."""
    job = await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, loss, "withdraws")
    ended = await cloud.promotions.ended("withdraws", job, "pipeline")
    assert ended["status"] == "succeeded", ended["reason"]
    return ended


async def found(cloud: Cloud, route: str, job: str) -> Promotion:
    return await until(lambda: cloud.promotions.find(route, job, "pipeline"), f"the promotion of {job}")


async def running(cloud: Cloud, route: str, job: str, step: str) -> Promotion:
    """The promotion, once its job runs in prod."""

    async def look() -> Promotion | None:
        promotion = await found(cloud, route, job)
        if running_steps(promotion) != [step]:
            return None
        there = await cloud.azure.job("prod", f"{promotion['id']}-prod-run-1")
        return promotion if there and there["status"] == "Running" else None

    return await until(look, f"the step {step} of {job}")


@pytest.mark.parametrize(("route", "status"), list(zip(CAUGHT, ("succeeded", "cancelled", "rolled-back"), strict=True)))
async def test_a_promotion_comes_to_its_end_all_the_same(aftermath: Aftermath, route: str, status: str) -> None:
    step = CAUGHT[route][0]
    assert aftermath.caught[route], f"the app was not in the middle of {step} when it was killed"
    promotion = aftermath.ends[route]
    assert promotion["status"] == status, promotion["reason"]
    assert journal(promotion).count(f"step-succeeded {step}") == 1


async def test_the_job_was_cancelled_and_did_not_run_again(cloud: Cloud, aftermath: Aftermath) -> None:
    assert await runs_of(cloud, aftermath.ends["cancels"]) == {"run-1": "Canceled"}


async def test_what_was_compared_ran_once_and_left_one_model(cloud: Cloud, aftermath: Aftermath) -> None:
    assert await runs_of(cloud, aftermath.ends["compares"]) == {"run-1": "Completed"}
    assert await versions(cloud, "tiny-compares") == ["1"]


async def test_what_was_taken_back_leaves_its_model_and_the_one_before_serves_again(
    cloud: Cloud, aftermath: Aftermath
) -> None:
    assert sorted(await versions(cloud, "tiny-withdraws")) == ["1", "2"]
    answer = await cloud.promotions.request(f"/{aftermath.ends['withdraws']['id']}")
    crowned = [line["text"] for line in answer.json()["journal"] if line["what"] == "crowned"]
    assert crowned[-1] == f"version {aftermath.first['version']} serves again"


async def runs_of(cloud: Cloud, promotion: Promotion) -> dict[str, str]:
    """The status of each job in prod that the promotion submitted, by the end of its name."""
    found: Any = await cloud.azure.call("GET", f"{cloud.parts.addresses['workspaces']['prod']}/jobs")
    prefix = f"{promotion['id']}-prod-"
    jobs = [job for job in found["value"] if job["name"].startswith(prefix)]
    return {job["name"].removeprefix(prefix): job["properties"]["status"] for job in jobs}


async def versions(cloud: Cloud, model: str) -> list[str]:
    path = f"{cloud.parts.addresses['workspaces']['prod']}/models/{model}/versions"
    found: Any = await cloud.azure.call("GET", path)
    return [each["name"] for each in found["value"]]
