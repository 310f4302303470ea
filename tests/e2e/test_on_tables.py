"""The app with its state in Azure Tables, as it is deployed: a storage account in its settings, and no file."""

from collections.abc import Iterator

import pytest

from localcloud.testing import azurite
from localcloud.up.description import Description
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe_tiny

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Description]:
    if reason := azurite.missing():
        pytest.skip(reason)
    described = describe_tiny()
    assert described.app is not None
    with azurite.running(tmp_path_factory.mktemp("azurite")) as account:
        settings = {**described.app.settings, "AzureWebJobsStorage": account.connection_string}
        del settings["MLPROMOTE_STORE"]
        yield described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})


async def test_a_promotion_goes_through_although_the_app_is_killed_meanwhile(cloud: Cloud) -> None:
    await cloud.azure.register("tiny-kept", "1")

    async def is_there() -> bool:
        return await cloud.promotions.find("tiny-kept", "1") is not None

    await until(is_there, "the promotion is there")
    await cloud.parts.kill("functions")
    await cloud.parts.restart("functions")
    promotion = await cloud.promotions.succeeded("tiny-kept")
    assert [each["id"] for each in await cloud.promotions.all_of("tiny-kept")] == [promotion["id"]]
    assert await cloud.azure.only_deployment("prod", "tiny-kept") == "1"
    assert not list(cloud.parts.layout.data.rglob("promotions.sqlite"))
