"""What the parts of a workspace's adapter have in common: the workspace's id, and connections to Azure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from shared.cloud.azureml_registry import Registry
from shared.cloud.azureml_rest import Cloud, Rest
from shared.ports import Deployment

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


class ConnectedWorkspace(ABC):
    """A part of a workspace that implements one port. `AzureMLWorkspace` joins the parts and connects them.

    `what`, in the methods that connect, is what the call does, in words for its error.
    """

    _id: str  #: ARM id of the workspace
    _cloud: Cloud
    _registry_name: str

    @property
    @abstractmethod
    def _who(self) -> str:
        """The identity and the workspace, in words for errors."""

    @property
    @abstractmethod
    def _credential(self) -> Any: ...

    @property
    @abstractmethod
    def _registry(self) -> Registry: ...

    @abstractmethod
    def _rest(self, what: str) -> AbstractContextManager[Rest]: ...

    @abstractmethod
    def _client(self, what: str) -> "AbstractContextManager[MLClient]": ...

    @abstractmethod
    def _arm_id(self, asset_id: str) -> str: ...

    @abstractmethod
    def _workspace_asset_id(self, kind: str, name: str, version: str) -> str: ...

    @abstractmethod
    def _why_broken(self, found: Mapping[str, Any]) -> tuple[str, str]: ...

    @abstractmethod
    def _with_asset_id(self, deployment: Deployment) -> Deployment: ...
