"""What an identity may do beside reading, according to Azure's access control."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_rights import ACTIONS, missing
from shared.ports import Capability
from tests.cloud.local_azure import STRANGER, LocalAzure

SCOPE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
Listing = Callable[..., Rest]


@pytest.mark.parametrize("capability", Capability)
def test_an_identity_with_the_roles_of_a_worker_lacks_nothing(capability: Capability, azure: LocalAzure) -> None:
    assert azure.workspace("dev").missing_rights(capability) == []


@pytest.mark.parametrize("capability", Capability)
def test_an_identity_that_may_not_ask_cannot_tell(capability: Capability, azure: LocalAzure) -> None:
    assert azure.workspace("dev", STRANGER).missing_rights(capability) is None


class Listed(Rest):
    """Gives pages of permissions."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, url: str, **query: str) -> Any:
        self.asked.append((url, query))
        number = len(self.asked)
        more = {"nextLink": f"https://next/{number}"} if number < len(self.pages) else {}
        return {"value": self.pages[number - 1], **more}


def test_a_right_is_there_if_one_role_gives_it_and_does_not_exclude_it_itself() -> None:
    endpoints = "microsoft.machinelearningservices/workspaces/onlineendpoints"
    without_delete = {"actions": ["Microsoft.MachineLearningServices/*"], "notActions": [f"{endpoints}/*/DELETE"]}
    lacks = missing(Listed([without_delete]), SCOPE, ACTIONS[Capability.DEPLOY])
    assert lacks == ["Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/delete"]
    all_there = Listed([without_delete], [{"actions": [f"{endpoints}/deployments/delete"], "notActions": []}])
    assert missing(all_there, SCOPE, ACTIONS[Capability.DEPLOY]) == []
    assert [url for url, _ in all_there.asked] == [
        f"{SCOPE}/providers/Microsoft.Authorization/permissions",
        "https://next/1",
    ]


@pytest.mark.parametrize(
    "listed", [[], [{"actions": ["*/read"], "notActions": []}], [{"actions": [], "notActions": []}]]
)
def test_an_identity_that_may_only_read_lacks_everything(listed: list[dict[str, Any]]) -> None:
    assert missing(Listed(listed), SCOPE, ACTIONS[Capability.DEPLOY]) == list(ACTIONS[Capability.DEPLOY])
