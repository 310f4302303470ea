"""An endpoint of the workspace test, of either kind, and a model in the registry to deploy to it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shared.ports import Deployment, Endpoint, Workspace
from tests.cloud.local_azure import until
from tests.cloud.two_workspaces import Azure

OURS = {"mlpromote.promotion": "p"}
OF_ROUTE = {"mlpromote.route": "digits"}


class ServedEndpoint:
    """What both kinds have in common."""

    workspace: Workspace  #: which shows endpoints of this kind
    endpoint: str

    def settled(self) -> Endpoint:
        return until(
            lambda: one if (one := self.workspace.endpoint(self.endpoint)) and one.state == "Succeeded" else None
        )

    def ended(self, deployment: str) -> Deployment:
        def look() -> Deployment | None:
            one = self.workspace.deployment(self.endpoint, deployment)
            return one if one and one.state in ("Succeeded", "Failed") else None

        return until(look, f"{deployment} has ended")


class Serving(ServedEndpoint):
    """An online endpoint in test, and a model in the registry to deploy to it."""

    def __init__(self, azure_ml: Azure, name: str, folder: Path) -> None:
        self.azure_ml = azure_ml
        self.workspace = azure_ml.test
        self.endpoint = f"e{name}"
        self._file = folder / "deployment.yml"
        self.model = shared_model(azure_ml, name)
        self.workspace.start_endpoint(self.endpoint, OF_ROUTE)
        self.settled()

    def start(self, deployment: str, endpoint: str = "") -> None:
        self.workspace.start_deployment(self._file, endpoint or self.endpoint, deployment, self.model, OURS)

    def deploy(self, *deployments: str) -> None:
        for deployment in deployments:
            self.start(deployment)
            assert self.ended(deployment).state == "Succeeded"
            self.settled()

    def give_traffic(self, traffic: Mapping[str, int], mirror: Mapping[str, int] = MappingProxyType({})) -> None:
        self.workspace.start_traffic(self.endpoint, traffic, mirror)
        self.settled()


def shared_model(azure_ml: Azure, name: str) -> str:
    """The id of version 1 of a new model, in the registry."""
    azure_ml.register(name)
    azure_ml.dev.start_share(name, "1")
    return until(lambda: azure_ml.dev.registry_model(name, "1")).asset_id
