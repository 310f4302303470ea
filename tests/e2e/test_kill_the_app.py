"""`kill -9` of the app in the middle of each step.

One crash serves all tests here: promotions are brought side by side, each to another step, until every one is inside a
call to Azure whose work is done and whose answer is held back. Then the app is killed and started again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from azure.ai.ml import Output, command

from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from localcloud.up import Description
from tests.e2e.azure import HeldCall
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe_tiny
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Per step the call that is held; NAME stands for the name of the model, and of its endpoint.
CALLS = {
    "share": ("POST", "*/registries/contoso-ml/import"),
    "validate": ("GET", "*/onlineendpoints/NAME"),
    "check_capacity": ("GET", "*/onlineendpoints/NAME/deployments"),
    "deploy": ("PUT", "*/onlineendpoints/NAME/deployments/*"),
    "smoke": ("POST", "*/onlineendpoints/NAME/listkeys"),
    "shift": ("PUT", "*/onlineendpoints/NAME"),
    "retire": ("DELETE", "*/onlineendpoints/NAME/deployments/*"),
    "remove": ("DELETE", "*/onlineendpoints/NAME/deployments/*"),
    "restore": ("PUT", "*/onlineendpoints/NAME"),
}
#: Steps of a way forward, and those of a way back.
FORWARD = ("share", "validate", "check_capacity", "deploy", "smoke", "shift", "retire")
BACK = ("remove", "restore")
TRAINED = "tiny-trained"
#: The answer to shifting comes later than the route's time limit for it.
LATE_SECONDS = 21


def model_of(step: str) -> str:
    """The model whose promotion is caught in a step."""
    name = step.replace("_", "-")
    return f"hasty-{name}" if step == "restore" else f"tiny-{name}"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    return held(describe_tiny(), tmp_path_factory.mktemp("killed") / "app")


@dataclass(frozen=True)
class Aftermath:
    """What became of the promotions of version 2, and of the users of version 1; all by step."""

    caught: Mapping[str, bool]  #: whether the app was inside this step, waiting for Azure, when it was killed
    ends: Mapping[str, Promotion | BaseException]
    users: Mapping[str, RequestLoop]

    def of(self, step: str) -> Promotion:
        """The promotion that was caught in the middle of a step, ended; fails where one of the two is not so."""
        assert self.caught[step], f"the app was not in the middle of {step} when it was killed"
        end = self.ends[step]
        if isinstance(end, BaseException):
            raise end
        return end


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud) -> AsyncIterator[Aftermath]:
    """All promotions brought into the middle of their steps, the app killed and started again, all of them ended."""
    await asyncio.gather(*(serve_first_version(cloud, step) for step in CALLS))
    async with AsyncExitStack() as loops:
        users = {step: await loops.enter_async_context(cloud.azure.users("prod", model_of(step))) for step in CALLS}
        calls = await hold_all(cloud)
        caught = {step: await is_inside(cloud, step, call, *which(step)) for step, call in calls.items()}
        await killed(cloud)
        ends = await all_ends(cloud)
    yield Aftermath(caught, ends, users)


async def serve_first_version(cloud: Cloud, step: str) -> None:
    await cloud.azure.register(model_of(step), "1")
    await cloud.promotions.succeeded(model_of(step))


async def hold_all(cloud: Cloud) -> dict[str, HeldCall]:
    """The call of every promotion in the middle of its step."""
    azure = cloud.azure
    await azure.fault("late_answer", "PUT", "*/onlineendpoints/hasty-restore", LATE_SECONDS)
    calls = {step: await hold(cloud, step) for step in CALLS if step != "share"}
    calls["register"] = await azure.hold("PUT", f"*/models/{TRAINED}/versions/*")
    for step in calls.keys() & CALLS.keys():
        await azure.register(model_of(step), "2", "crash" if step == "remove" else None)
    await submit_training(cloud)
    calls = {step: await caught_in(cloud, step, call, *which(step)) for step, call in calls.items()}
    # The address of the registry's import does not name the model, so this one comes last.
    share = await hold(cloud, "share")
    await azure.register(model_of("share"), "2")
    return {**calls, "share": await caught_in(cloud, "share", share, *which("share"))}


async def hold(cloud: Cloud, step: str) -> HeldCall:
    method, path = CALLS[step]
    return await cloud.azure.hold(method, path.replace("NAME", model_of(step)))


def which(step: str) -> tuple[str, str, str]:
    """The model, the version and the kind of the promotion that is caught in a step."""
    return (TRAINED, "training", "job") if step == "register" else (model_of(step), "2", "model")


async def submit_training(cloud: Cloud) -> None:
    job = command(
        name="training",
        command="echo trained > ${{outputs.model}}/model.txt",
        environment="azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
        experiment_name="tiny-training",
        outputs={"model": Output(type="custom_model")},
    )
    await asyncio.to_thread(cloud.azure.dev.jobs.create_or_update, job)


async def all_ends(cloud: Cloud) -> dict[str, Promotion | BaseException]:
    ended = {step: cloud.promotions.ended(model_of(step), "2") for step in CALLS}
    ended["register"] = cloud.promotions.ended(TRAINED)
    return dict(zip(ended, await asyncio.gather(*ended.values(), return_exceptions=True), strict=True))


@pytest.mark.parametrize("step", FORWARD)
async def test_a_promotion_goes_on_to_its_end(cloud: Cloud, aftermath: Aftermath, step: str) -> None:
    promotion = aftermath.of(step)
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert steps_done(promotion) == list(FORWARD)
    assert await cloud.azure.only_deployment("prod", model_of(step)) == "2"
    assert sorted(await cloud.azure.registry_versions(model_of(step))) == ["1", "2"]


@pytest.mark.parametrize("step", BACK)
async def test_a_promotion_that_failed_goes_all_the_way_back(cloud: Cloud, aftermath: Aftermath, step: str) -> None:
    promotion = aftermath.of(step)
    assert promotion["status"] == "failed", promotion["reason"]
    (stage,) = promotion["stages"]
    assert stage["status"] == "failed"
    assert {each["status"] for each in stage["undoing"]} == {"succeeded"}
    assert "undoing also failed" not in promotion["reason"]
    assert await cloud.azure.only_deployment("prod", model_of(step)) == "1"


async def test_the_output_of_a_job_is_registered_once(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.of("register")["status"] == "succeeded"
    assert await cloud.azure.versions(TRAINED) == ["1"]
    (registration,) = await cloud.promotions.all_of(TRAINED, kind="job")
    assert registration["status"] == "succeeded"
    assert await cloud.azure.only_deployment("prod", TRAINED) == "1"


@pytest.mark.parametrize("step", CALLS)
async def test_no_request_to_the_endpoint_fails(aftermath: Aftermath, step: str) -> None:
    users = aftermath.users[step]
    assert users.failed == 0, users.failures
    assert users.sent > 20


def steps_done(promotion: Promotion) -> list[str]:
    """The steps in the order in which the journal says they were done. One that is there twice counted twice."""
    return [line.removeprefix("step-succeeded ") for line in journal(promotion) if line.startswith("step-succeeded ")]
