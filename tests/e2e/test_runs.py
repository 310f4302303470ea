"""A pipeline runs again in prod on fresh data: when its time has come, and when a monitor finds drift."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.drift_monitor import drift_monitor, signal_of
from tests.e2e.azure import client_of, until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.test_pipelines import CURATED, approve, evidence
from tests.rows_pipeline import code_in, register_rows, submit

pytestmark = pytest.mark.asyncio(loop_scope="module")

MONITOR = "rows-drift"


@pytest.fixture(scope="module")
def description() -> Description:
    people = {"alice": {}, "bob": {"roles": ["Promotion.Approver"]}}
    return describe("tests/e2e/again/promotion.yml", "dev", "prod", people=people)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def code(cloud: Cloud, folder: Path) -> Path:
    """Of the steps; ten rows are in dev and a hundred in prod."""
    await asyncio.to_thread(register_rows, cloud.azure.dev, folder / "data", "sample", 10)
    await fresh_rows(cloud, folder, 100, "3")
    return code_in(folder / "code")


async def fresh_rows(cloud: Cloud, folder: Path, rows: int, version: str) -> None:
    """The next version of prod's data."""
    prod = client_of(cloud.parts.addresses, "prod")
    await asyncio.to_thread(register_rows, prod, folder / "data", "production", rows, version)


async def submitted(cloud: Cloud, code: Path, route: str, loss: float) -> str:
    return await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, loss, route)


async def runs(cloud: Cloud, route: str, job: str) -> list[Promotion]:
    """All promotions of what the job ran, the oldest first."""
    found = [each for each in await cloud.promotions.all_of(route, "pipeline") if each["version"] == job]
    answers = [await cloud.promotions.request(f"/{each['id']}") for each in reversed(found)]
    return [answer.json() for answer in answers]


async def ended(cloud: Cloud, route: str, job: str, count: int) -> list[Promotion]:
    """The same, once there are so many and all have succeeded."""

    async def look() -> list[Promotion] | None:
        found = await runs(cloud, route, job)
        for each in found:
            assert each["status"] in ("queued", "running", "succeeded"), each["reason"]
        done = len(found) >= count and all(each["status"] == "succeeded" for each in found)
        return found if done else None

    return await until(look, f"{count} runs of {job} have succeeded")


def rows_of(promotion: Promotion) -> tuple[str, Any]:
    """The version of the data, and how many rows the run counted."""
    [data] = [
        each for each in evidence(promotion, "inspect")["manifest"]["inputs"].values() if "production" in str(each)
    ]
    metrics = {row["metric"]: row["here"] for row in evidence(promotion, "compare")["metrics"]}
    return str(data), metrics["rows"]


async def test_a_schedule_runs_it_on_the_latest_data_and_asks_nobody_again(
    cloud: Cloud, code: Path, folder: Path
) -> None:
    job = await submitted(cloud, code, "scheduled", 1.1)

    async def asks() -> Promotion | None:
        found = await cloud.promotions.find("scheduled", job, "pipeline")
        return found if found and found["waits"] and "approval" in found["waits"][0]["for"] else None

    await approve(cloud, (await until(asks, f"the promotion of {job} waits for approval"))["id"])
    [first] = await ended(cloud, "scheduled", job, 1)
    assert rows_of(first)[1] == 100
    await fresh_rows(cloud, folder, 200, "4")

    async def again() -> bool:
        await cloud.run_timer("start_runs")
        return len(await runs(cloud, "scheduled", job)) > 1

    await until(again, f"{job} runs again")
    _, second, *_ = await ended(cloud, "scheduled", job, 2)
    assert second["requested_by"] == "the schedule"
    assert rows_of(second)[1] == 200
    given = second["stages"][0]["approval"]["given"]
    assert [one["name"] for one in given] == ["bob"], "it rests on the approval of the first"


async def test_a_breach_of_a_monitor_runs_it(cloud: Cloud, code: Path) -> None:
    job = await submitted(cloud, code, "drifting", 1.2)
    await ended(cloud, "drifting", job, 1)
    prod = client_of(cloud.parts.addresses, "prod")
    data = f"{cloud.parts.addresses['workspaces']['prod']}/data/production/versions/3"
    await asyncio.to_thread(prod.schedules.begin_create_or_update, drift_monitor(MONITOR, data))
    await breach(cloud, prod)
    _, second = await ended(cloud, "drifting", job, 2)
    assert second["requested_by"] == f"monitor {MONITOR}"
    assert "violating metric thresholds" in second["journal"][0]["text"]


async def breach(cloud: Cloud, prod: Any) -> None:
    """A run of the monitor that finds drift, up to its end."""
    await cloud.azure.fault("monitor_breach", None, signal_of(MONITOR))
    name = str((await asyncio.to_thread(prod.schedules.trigger, MONITOR)).job_name)

    async def has_ended() -> bool:
        found = await cloud.azure.job("prod", name)
        return bool(found and found["status"] == "Completed")

    await until(has_ended, f"the end of {name}")
