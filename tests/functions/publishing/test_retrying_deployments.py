"""A model whose deployment file was mended is retried from where that file's environment asset is shared."""

from collections.abc import Mapping

import pytest

from shared.core.messages import Failed, FailureKind
from tests.config.teams import CHURN, edited
from tests.functions.conftest import ALICE, Api
from tests.functions.publishing.test_publishing import published

MENDED = edited(("deployments/churn.yml", "instance_count: 1", "instance_count: 2"))
BATCH: Mapping[str, bytes] = {
    **CHURN,
    "promotion.yml": b"""\
routes:
  scores:
    from: dev
    models: ["churn-*"]
    stages: [{environment: test, batch_endpoint: "{model}-test", deployment: deployments/batch.yml}]
""",
    "deployments/batch.yml": b"compute: azureml:cpu\nenvironment: azureml:churn-env:2\n",
}
MENDED_BATCH = {**BATCH, "deployments/batch.yml": b"compute: azureml:cpu\nenvironment: azureml:churn-env:3\n"}


@pytest.mark.parametrize(("files", "mended"), [(CHURN, MENDED), (BATCH, MENDED_BATCH)], ids=["online", "batch"])
def test_a_retry_with_another_deployment_file_shares_again_what_it_names(
    api: Api, files: Mapping[str, bytes], mended: Mapping[str, bytes]
) -> None:
    bundle = published(api, files)
    promotion = failed(api)
    published(api, mended, expected=bundle)
    again = api.post(f"promotions/{promotion}/retry", {"reason": "mended"}, ALICE)
    assert again.status == 202, again.body
    [command] = api.steps
    assert (command.step, command.bundle) == ("share", again.body["promotion"]["bundle"])


def test_a_retry_with_the_same_files_shares_nothing_again(api: Api) -> None:
    published(api, CHURN)
    promotion = failed(api)
    assert api.post(f"promotions/{promotion}/retry", {"reason": "again"}, ALICE).status == 202
    assert [command.step for command in api.steps] == ["validate"]


def failed(api: Api) -> str:
    """The id of a promotion that failed in test."""
    promotion = api.start("7")
    api.run({("test", "deploy"): Failed("it broke", FailureKind.BUG)})
    assert api.get(f"promotions/{promotion}").body["status"] == "failed"
    return promotion
