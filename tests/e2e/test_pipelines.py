"""A training pipeline of two steps, from dev to prod: it runs there on prod's data once somebody has approved."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.azure import client_of, until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.promoting import failure
from tests.rows_pipeline import code_in, register_rows, submit
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

CURATED = "azureml://registries/azureml/environments/sklearn-1.5/versions/33"


@pytest.fixture(scope="module")
def description() -> Description:
    people = {"alice": {}, "bob": {"roles": ["Promotion.Approver"]}}
    return describe("tests/e2e/pipelines/promotion.yml", "dev", "prod", people=people)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def code(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the steps; ten rows are in dev and a hundred in prod."""
    folder = tmp_path_factory.mktemp("rows")
    await asyncio.to_thread(register_rows, cloud.azure.dev, folder / "data", "sample", 10)
    await asyncio.to_thread(register_rows, client_of(cloud.parts.addresses, "prod"), folder / "data", "production", 100)
    return code_in(folder / "code")


async def trained(cloud: Cloud, code: Path, loss: float = 1.0) -> str:
    """The name of a pipeline job of dev that has completed."""
    job = await asyncio.to_thread(submit, cloud.azure.dev, code, CURATED, loss)
    assert await cloud.azure.ended(job) == "Completed"
    return job


async def waiting(cloud: Cloud, job: str) -> Promotion:
    """The promotion of what the job ran, once it waits for approval."""

    async def look() -> Promotion | None:
        found = await cloud.promotions.find("rows", job, "pipeline")
        if found and (found["waits"] and "approval" in found["waits"][0]["for"]):
            return found
        assert not found or found["status"] in ("queued", "running"), found["reason"]
        return None

    return await until(look, f"the promotion of {job} waits for approval")


async def approve(cloud: Cloud, promotion: str) -> None:
    functions = cloud.parts.addresses["functions"]
    url = f"{functions['url']}/api/promotions/{promotion}/approve"
    signed_in = await asyncio.to_thread(bearer, cloud.parts.addresses, "bob")
    headers = {**signed_in, "x-functions-key": functions["keys"]["default"]}
    async with cloud.http.post(url, headers=headers, json={"reason": "read the code"}) as answer:
        assert answer.status < 300, f"{answer.status}: {await answer.text()}"


def evidence(promotion: Promotion, step: str) -> Mapping[str, Any]:
    (found,) = [each["evidence"] for each in promotion["stages"][0]["steps"] if each["name"] == step]
    return dict(found)


def side_by_side(compared: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {row["metric"]: (row["source"], row["here"]) for row in compared["metrics"]}


async def test_a_pipeline_runs_in_prod_once_somebody_agreed_and_its_model_goes_on_from_there(
    cloud: Cloud, code: Path
) -> None:
    job = await trained(cloud, code)
    promotion = await waiting(cloud, job)
    ran = f"{promotion['id']}-prod-run-1"
    assert await cloud.azure.job("prod", ran) is None
    shown = evidence(promotion, "register_components")["components"]
    assert set(shown["first"]["files"]) == {"helpers/cleaning.py", "prepare.py", "train.py"}
    await approve(cloud, promotion["id"])
    ended = await cloud.promotions.ended("rows", job, "pipeline")
    assert ended["status"] == "succeeded", ended["reason"]
    assert side_by_side(evidence(ended, "compare")) == {"auc": (0.9, 0.99), "rows": (10, 100)}
    made = evidence(ended, "register_model")
    assert made["model"] == "tiny-rows"
    path = f"{cloud.parts.addresses['workspaces']['prod']}/models/tiny-rows/versions"
    listed = await cloud.azure.call("GET", path)
    assert listed
    assert [each["name"] for each in listed["value"]] == [made["version"]], "from_jobs and register made two"
    gone_on = await until(lambda: cloud.promotions.find("tiny-rows", made["version"]), "its model goes on")
    assert gone_on["route"] == "rows-models"


async def test_a_pipeline_that_is_worse_on_prods_data_is_refused_with_both_columns(cloud: Cloud, code: Path) -> None:
    job = await trained(cloud, code, loss=50.0)
    promotion = await waiting(cloud, job)
    await approve(cloud, promotion["id"])
    ended = await cloud.promotions.ended("rows", job, "pipeline")
    assert ended["status"] == "refused"
    assert "required at least 0.8, found 0.5" in failure(ended)["reason"]
    assert "auc     -4      0.5" in failure(ended)["diagnosis"]
