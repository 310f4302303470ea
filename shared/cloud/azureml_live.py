"""What happens at a workspace's endpoints: implements the port `LiveFiguresReader`."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from shared.cloud import azureml_live_figures, azureml_recorded
from shared.cloud.azureml_rest import Rest
from shared.ports import LiveFigures, Recording


class LiveFiguresOfWorkspace(ABC):
    """The part of a workspace that implements the port `LiveFiguresReader`."""

    _id: str

    @property
    @abstractmethod
    def _credential(self) -> Any: ...

    @abstractmethod
    def _rest(self, what: str) -> AbstractContextManager[Rest]: ...

    def live_figures(
        self, endpoint: str, deployment: str, since: datetime, until: datetime, resources: bool
    ) -> LiveFigures:
        with self._rest(f"read the live figures of deployment {deployment} of endpoint {endpoint}") as rest:
            address = f"{self._id}/onlineEndpoints/{endpoint}"
            return azureml_live_figures.read(rest, address, deployment, since, until, resources)

    def recorded_requests(self, endpoint: str, deployment: str, until: datetime, most: int) -> Recording:
        place = f"onlineEndpoints/{endpoint}/deployments/{deployment}"
        with self._rest(f"read the requests that deployment {deployment} of endpoint {endpoint} recorded") as rest:
            return azureml_recorded.read(rest, self._id, self._credential, place, until, most)
