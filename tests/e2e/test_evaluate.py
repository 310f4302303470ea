"""Models are measured in prod by a real job, beside the champion, before anything is deployed there.

The app is killed once, while it submits the job of one promotion and the job of another one is under way.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.ai.ml.entities import Data

from examples.demo.promotions import Promotion
from localcloud.up import Description
from shared.cloud.azureml_job_files import described
from shared.worker.manifest import job_digest
from tests.e2e.azure import client_of
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import failure

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLDER = Path(__file__).parent / "evaluated"
#: The promotion whose job is being submitted when the app is killed, and one whose job runs then.
SUBMITS, FOLLOWS = "measured-submits", "measured-follows"
#: For a while after a kill, nothing else may enter the stage of those models, so another model gets a worse version.
WORSE = "measured-worse"
SERVED = (SUBMITS, FOLLOWS, WORSE)


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """Prod's policy has the digest of the job."""
    made = describe("tests/e2e/evaluated/promotion.yml", "dev", "prod")
    assert made.app is not None
    settings = made.app.settings | {"EVALUATION": job_digest(described(FOLDER / "evaluate.yml"))}
    made = made.model_copy(update={"app": made.app.model_copy(update={"settings": settings})})
    return held(made, tmp_path_factory.mktemp("evaluate") / "app")


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def served(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """Prod has a hold-out set, and serves version 1 of three models."""
    files = tmp_path_factory.mktemp("holdout")
    (files / "holdout.csv").write_text("x,y\n1,2\n")
    data = Data(name="holdout", version="1", path=str(files), type="uri_folder")
    await asyncio.to_thread(client_of(cloud.parts.addresses, "prod").data.create_or_update, data)
    for model in SERVED:
        await cloud.azure.register(model, "1", "0.80")
    for model in SERVED:
        await cloud.promotions.succeeded(model)
    yield


def evidence(promotion: Promotion, step: str) -> Mapping[str, Any]:
    (stage,) = promotion["stages"]
    (found,) = [each for each in stage["steps"] if each["name"] == step]
    return dict(found["evidence"])


async def jobs(cloud: Cloud, promotion: Promotion) -> list[Mapping[str, Any]]:
    """The jobs of prod that a promotion has submitted."""
    found = await cloud.azure.call("GET", cloud.parts.addresses["workspaces"]["prod"] + "/jobs")
    assert found
    return [each for each in found["value"] if each["properties"]["tags"].get("mlpromote.promotion") == promotion["id"]]


async def test_a_first_model_is_measured_alone(cloud: Cloud) -> None:
    promotion = await cloud.promotions.succeeded(SUBMITS)
    seen = evidence(promotion, "evaluate")
    assert [(each["metric"], each["candidate"]) for each in seen["metrics"]] == [("auc", 0.8), ("rows", 2.0)]
    assert seen["champion"] is None
    assert [(used["name"], used["version"]) for used in seen["data"]] == [("holdout", "1")]
    assert seen["digest"] == evidence(promotion, "validate")["manifest"]["evaluation"]


async def test_killed_in_the_middle_each_job_runs_once_and_both_models_are_measured(cloud: Cloud) -> None:
    call = await cloud.azure.hold("PUT", f"*/jobs/{SUBMITS}*")
    for model in (SUBMITS, FOLLOWS):
        await cloud.azure.register(model, "2", "0.85")
    call = await caught_in(cloud, "evaluate", call, SUBMITS, "2")
    assert await is_inside(cloud, "evaluate", call, SUBMITS, "2")
    await killed(cloud)
    for model in (SUBMITS, FOLLOWS):
        promotion = await cloud.promotions.succeeded(model, "2")
        seen = evidence(promotion, "evaluate")
        (auc,) = [each for each in seen["metrics"] if each["metric"] == "auc"]
        assert (auc["candidate"], auc["champion"]) == (0.85, 0.8)
        assert seen["champion"].endswith(f"/models/{model}/versions/1")
        (job,) = await jobs(cloud, promotion)
        assert job["name"] == seen["job"]
        assert await cloud.azure.only_deployment("prod", model) == "2"


async def test_a_worse_model_is_refused_with_both_figures_and_never_deployed(cloud: Cloud) -> None:
    await cloud.azure.register(WORSE, "2", "0.70")
    promotion = await cloud.promotions.ended(WORSE, "2")
    assert promotion["status"] == "refused", promotion["reason"]
    assert "0.7; the champion's: 0.8" in failure(promotion)["reason"]
    assert await cloud.azure.only_deployment("prod", WORSE) == "1"


async def test_a_job_that_hangs_is_given_up_and_cancelled(cloud: Cloud) -> None:
    await cloud.azure.register("hasty-hangs", "1", "hang")
    promotion = await cloud.promotions.failed("hasty-hangs")
    assert "evaluate did not finish within 30 s" in failure(promotion)["reason"]
    (job,) = await jobs(cloud, promotion)
    assert job["properties"]["status"] in ("CancelRequested", "Canceled")
    assert "hasty-hangs" not in await cloud.azure.endpoints("prod")


async def test_a_job_whose_code_fails_tells_why(cloud: Cloud) -> None:
    await cloud.azure.register("measured-breaks", "1", "no number")
    told = failure(await cloud.promotions.failed("measured-breaks"))
    assert "could not convert string to float: 'no number'" in told["reason"]
    assert "evaluate.py" in told["diagnosis"]


async def test_a_route_without_an_evaluation_gets_nothing_into_prod(cloud: Cloud) -> None:
    await cloud.azure.register("unmeasured-one", "1")
    promotion = await cloud.promotions.ended("unmeasured-one")
    assert promotion["status"] == "refused"
    assert "the stage has no evaluation" in json.dumps(failure(promotion))
