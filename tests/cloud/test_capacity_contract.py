"""What every `Workspace` must say of quotas and sizes: the adapter of Azure ML, against the local one, and the fake."""

from collections.abc import Iterator

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import ForbiddenError
from shared.worker import capacity
from tests.cloud.two_workspaces import Azure, chosen, found


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


def test_a_size_is_found_in_any_casing_and_another_is_not_there(azure_ml: Azure) -> None:
    size = found(azure_ml.test.machine_size("STANDARD_ds3_V2"))
    assert (size.name, size.family, size.cores) == ("Standard_DS3_v2", "standardDSv2Family", 4)
    assert azure_ml.test.machine_size("Standard_Nothing") is None


def test_the_quota_of_a_size_is_among_those_of_its_subscription(azure_ml: Azure) -> None:
    size = found(azure_ml.test.machine_size("Standard_DS3_v2"))
    quota = found(capacity.quota_of(size, azure_ml.test.quotas()))
    assert quota.name == "Standard DSv2 Family Cluster Dedicated vCPUs"
    assert quota.limit >= quota.left >= 0


def test_a_role_on_the_workspace_is_not_enough_to_read_the_quota(dev: AzureMLWorkspace) -> None:
    with pytest.raises(ForbiddenError):
        dev.quotas()
    with pytest.raises(ForbiddenError):
        dev.machine_size("Standard_DS3_v2")
