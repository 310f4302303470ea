"""Models on batch endpoints, with real jobs: each new deployment is tested beside the default on the same input.

The app is killed once, while it invokes one deployment and makes another one the default.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from azure.ai.ml.entities import Data

from examples.demo.promotions import Promotion
from localcloud.up import Description
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import HeldCall, client_of, until
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import failure
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By the step that the app is killed in: the call that it makes; NAME stands for the endpoint.
CAUGHT = {"invoke": ("POST", "*/batch/*/NAME/jobs"), "shift": ("PUT", "*/batchEndpoints/NAME")}
OTHERS = ("batch-good", "batch-differs", "batch-broken", "batch-moved")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    made = describe("tests/e2e/batch/promotion.yml", "dev", "prod", people={"alice": {"roles": [OPERATOR]}})
    prod = made.environments["prod"].model_copy(update={"computes": ("cpu",), "reads_quota": True})
    described = made.model_copy(update={"environments": {**made.environments, "prod": prod}})
    return held(described, tmp_path_factory.mktemp("batch") / "app")


@dataclass(frozen=True)
class Batch:
    """The batch endpoints of prod."""

    cloud: Cloud
    caught: Mapping[str, bool]  #: whether the app was inside this step when it was killed

    async def default(self, model: str) -> str:
        """The model's version in the deployment that is the default."""
        found = await self.cloud.azure.call("GET", self.path(model))
        assert found
        return (await self.versions(model))[found["properties"]["defaults"]["deploymentName"]]

    async def versions(self, model: str) -> dict[str, str]:
        """The model's version by the name of the deployment."""
        found = await self.cloud.azure.call("GET", self.path(model) + "/deployments") or {"value": []}
        return {each["name"]: each["properties"]["model"]["assetId"].rpartition("/")[2] for each in found["value"]}

    def path(self, model: str) -> str:
        return f"{self.cloud.parts.addresses['workspaces']['prod']}/batchEndpoints/{model}-scoring"

    async def jobs(self, model: str) -> list[str]:
        """The names of the jobs of the model's endpoint."""
        found = await self.cloud.azure.call("GET", f"/mferp/managementfrontend{self.path(model)}/jobs")
        assert found
        return [each["name"] for each in found["value"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def batch(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Batch]:
    """Prod has a sample, and serves version 1 of each model. Then the app was killed and started again."""
    sample = tmp_path_factory.mktemp("sample") / "sample.txt"
    sample.write_text("".join(f"row-{number} {number}\n" for number in range(4)))
    data = Data(name="sample", version="1", path=str(sample), type="uri_file")
    await asyncio.to_thread(client_of(cloud.parts.addresses, "prod").data.create_or_update, data)
    models = [*OTHERS, *map(model_of, CAUGHT)]
    await asyncio.gather(*(cloud.azure.register(model, "1", "1.0") for model in models))
    await asyncio.gather(*(cloud.promotions.succeeded(model) for model in models))
    calls = dict(zip(CAUGHT, await asyncio.gather(*(bring_into(cloud, step) for step in CAUGHT)), strict=True))
    caught = {step: await is_inside(cloud, step, call, model_of(step), "2") for step, call in calls.items()}
    await killed(cloud)
    yield Batch(cloud, caught)


def model_of(step: str) -> str:
    return f"batch-killed-{step}"


async def bring_into(cloud: Cloud, step: str) -> HeldCall:
    """Bring version 2 into the middle of the step."""
    method, path = CAUGHT[step]
    call = await cloud.azure.hold(method, path.replace("NAME", f"{model_of(step)}-scoring"))
    await cloud.azure.register(model_of(step), "2", "1.0")
    return await caught_in(cloud, step, call, model_of(step), "2")


def evidence(promotion: Promotion, step: str) -> Mapping[str, Any]:
    (stage,) = promotion["stages"]
    (found,) = [each for each in stage["steps"] if each["name"] == step]
    return dict(found["evidence"])


async def test_a_good_candidate_becomes_the_default_and_the_old_one_is_kept(cloud: Cloud, batch: Batch) -> None:
    await cloud.azure.register("batch-good", "2", "1.001")
    promotion = await cloud.promotions.succeeded("batch-good", "2")
    seen = evidence(promotion, "invoke")
    assert (seen["rows"], seen["champion_rows"], seen["differing"], seen["matched_by"]) == (4, 4, 0, "column 1")
    assert seen["largest_difference"] == pytest.approx(0.003)
    assert "row-1" not in str(promotion)
    assert await batch.default("batch-good") == "2"
    assert sorted((await batch.versions("batch-good")).values()) == ["1", "2"]
    (stage,) = promotion["stages"]
    assert stage["kept_until"]
    taken = evidence(promotion, "check_capacity")
    assert (taken["instances"], taken["most_nodes"], taken["cores"]) == (1, 1, 4)
    functions = cloud.parts.addresses["functions"]
    url = f"{functions['url']}/api/lineage/prod/batch-good-scoring"
    async with cloud.http.get(url, headers={"x-functions-key": functions["keys"]["default"]}) as answer:
        lineage = await answer.json()
    assert answer.status == 200, lineage
    (deployment,) = [name for name, version in (await batch.versions("batch-good")).items() if version == "2"]
    assert deployment in str(lineage)


async def test_rolling_back_while_it_is_kept_is_one_change_of_the_endpoint(cloud: Cloud, batch: Batch) -> None:
    promotion = await cloud.promotions.succeeded("batch-good", "2")
    changes = len(await cloud.azure.calls("PUT", "*/batchEndpoints/batch-good-scoring*"))
    functions = cloud.parts.addresses["functions"]
    signed_in = await asyncio.to_thread(bearer, cloud.parts.addresses, "alice")
    headers = {"x-functions-key": functions["keys"]["default"], **signed_in}
    url = f"{functions['url']}/api/promotions/{promotion['id']}/roll-back"
    async with cloud.http.post(url, json={"reason": "wrong scores"}, headers=headers) as answer:
        assert answer.status == 202, await answer.text()

    async def rolled_back() -> bool:
        found = await cloud.promotions.find("batch-good", "2")
        return found is not None and found["status"] == "rolled-back"

    await until(rolled_back, "the rollback has ended")
    assert await batch.default("batch-good") == "1"
    assert len(await cloud.azure.calls("PUT", "*/batchEndpoints/batch-good-scoring*")) == changes + 1
    assert list((await batch.versions("batch-good")).values()) == ["1"]


async def test_a_candidate_whose_answers_differ_is_refused_with_the_figures(cloud: Cloud, batch: Batch) -> None:
    await cloud.azure.register("batch-differs", "2", "2.0")
    promotion = await cloud.promotions.ended("batch-differs", "2")
    assert promotion["status"] == "refused", promotion["reason"]
    assert "3 of 4 rows differ from those of deployment v1-" in failure(promotion)["reason"]
    assert "by up to 3, which is a part of 0.75: more than the 0.25 that are allowed" in failure(promotion)["reason"]
    assert evidence(promotion, "invoke")["disagreement"] == 0.75
    assert await batch.default("batch-differs") == "1"
    assert list((await batch.versions("batch-differs")).values()) == ["1"], "the candidate is removed"


async def test_a_candidate_whose_job_fails_is_refused_with_the_cause(cloud: Cloud, batch: Batch) -> None:
    await cloud.azure.register("batch-broken", "2", "no number")
    promotion = await cloud.promotions.failed("batch-broken", "2")
    assert "failed its test" in failure(promotion)["reason"]
    assert await batch.default("batch-broken") == "1"
    assert list((await batch.versions("batch-broken")).values()) == ["1"]


async def test_a_default_that_somebody_moved_is_left_alone_and_named(cloud: Cloud, batch: Batch) -> None:
    """They do it while the new deployment is tested."""
    call = await cloud.azure.hold("POST", "*/batch/*/batch-moved-scoring/jobs")
    await cloud.azure.register("batch-moved", "2", "1.0")
    await call.reached()
    found = await cloud.azure.call("GET", batch.path("batch-moved"))
    versions = await batch.versions("batch-moved")
    assert found
    mine = next(name for name, version in versions.items() if version == "1")
    other = await cloud.azure.call("GET", f"{batch.path('batch-moved')}/deployments/{mine}")
    assert other
    body = {"location": other["location"], "tags": {}, "properties": other["properties"]}
    await cloud.azure.call("PUT", f"{batch.path('batch-moved')}/deployments/by-hand", json=body)

    async def is_ready() -> bool:
        made = await cloud.azure.call("GET", f"{batch.path('batch-moved')}/deployments/by-hand")
        return made is not None and made["properties"]["provisioningState"] == "Succeeded"

    await until(is_ready, "the deployment by hand is ready")
    properties = {**found["properties"], "defaults": {"deploymentName": "by-hand"}}
    changed = {"location": found["location"], "tags": found["tags"], "properties": properties}
    await cloud.azure.call("PUT", batch.path("batch-moved"), json=changed)
    await call.release()
    promotion = await cloud.promotions.failed("batch-moved", "2")
    assert "The default of batch endpoint batch-moved-scoring is by-hand" in failure(promotion)["reason"]
    after = await cloud.azure.call("GET", batch.path("batch-moved"))
    assert after
    assert after["properties"]["defaults"] == {"deploymentName": "by-hand"}


@pytest.mark.parametrize("step", list(CAUGHT))
async def test_killed_in_the_middle_nothing_is_done_twice_and_the_promotion_goes_on(
    cloud: Cloud, batch: Batch, step: str
) -> None:
    assert batch.caught[step], f"the app was not in the middle of {step} when it was killed"
    promotion = await cloud.promotions.succeeded(model_of(step), "2")
    assert await batch.default(model_of(step)) == "2"
    seen = evidence(promotion, "invoke")
    jobs = await batch.jobs(model_of(step))
    assert len(jobs) == 1 + 2, "one for version 1, and two to test version 2"
    assert {seen["job"], seen["champion_job"]} < set(jobs)
