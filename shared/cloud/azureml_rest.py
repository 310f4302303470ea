"""REST calls to Azure ML, for which azure-ai-ml has no public operation or returns only part of the answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import HttpLoggingPolicy, RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

#: Seconds. A function must not wait: the queue retries later.
CONNECTION_TIMEOUT = 10
READ_TIMEOUT = 60


@dataclass(frozen=True)
class Cloud:
    """The addresses of the Azure cloud in use. The fields have the names that `MLClient` uses."""

    name: str = "AzureCloud"
    azure_portal: str = "https://portal.azure.com/"
    resource_manager: str = "https://management.azure.com/"
    active_directory: str = "https://login.microsoftonline.com/"
    aml_resource_id: str = "https://ml.azure.com/"
    storage_endpoint: str = "core.windows.net"
    registry_discovery_endpoint: str = "https://eastus.api.azureml.ms/"

    @property
    def scope(self) -> str:
        """The scope of a token for the control plane."""
        return self.resource_manager.rstrip("/") + "/.default"

    def client_arguments(self) -> dict[str, Any]:
        """The arguments that make `MLClient` use this cloud."""
        metadata = {name: value for name, value in vars(self).items() if name != "name"}
        return {"cloud": self.name, "cloud_metadata": metadata}


class Rest:
    """One connection for a few calls. An address that starts with a slash is an ARM id on the control plane."""

    def __init__(self, pipeline: PipelineClient[HttpRequest, HttpResponse], control_plane: str) -> None:
        self._pipeline = pipeline
        self._control_plane = control_plane

    def get(self, url: str, **query: str) -> Any:
        """The JSON that a GET returns; None for 404."""
        headers = {"Accept": "application/json"}
        response = self._pipeline.send_request(HttpRequest("GET", self._absolute(url), params=query, headers=headers))
        return None if response.status_code == 404 else _content(response)

    def post(self, url: str, body: Any = None, **query: str) -> Any:
        """The JSON that a POST returns; None if it returns none."""
        request = HttpRequest("POST", self._absolute(url), params=query, json=body if body is not None else {})
        return _content(self._pipeline.send_request(request))

    def put(self, url: str, body: Any, **query: str) -> Any:
        """The JSON that a PUT answers, or None without one: a long-running operation has begun then."""
        request = HttpRequest("PUT", self._absolute(url), params=query, json=body)
        return _content(self._pipeline.send_request(request))

    def _absolute(self, url: str) -> str:
        return self._control_plane + url if url.startswith("/") else url


@contextmanager
def connected(credential: TokenCredential, cloud: Cloud) -> Iterator[Rest]:
    """A connection with the identity's token for the control plane. Raises azure-core's errors; does not retry."""
    policies = [
        RequestIdPolicy(),
        UserAgentPolicy(sdk_moniker="mlpromote"),
        ARMChallengeAuthenticationPolicy(credential, cloud.scope),
        HttpLoggingPolicy(),
    ]
    control_plane = cloud.resource_manager.rstrip("/")
    pipeline: PipelineClient[HttpRequest, HttpResponse] = ARMPipelineClient(
        control_plane, policies=policies, connection_timeout=CONNECTION_TIMEOUT, read_timeout=READ_TIMEOUT
    )
    with pipeline:
        yield Rest(pipeline, control_plane)


def _content(response: HttpResponse) -> Any:
    if response.status_code >= 400:
        raise HttpResponseError(response=response)
    return response.json() if response.text().strip() else None
