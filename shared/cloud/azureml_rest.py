"""REST calls to Azure ML, for which azure-ai-ml has no public operation or returns only part of the answer."""

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
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
#: Seconds after which an idle connection is not used again. Azure's load balancers drop one silently after 4 minutes:
#: https://learn.microsoft.com/azure/load-balancer/load-balancer-tcp-reset
LONGEST_IDLE = 45.0

_Pipeline = PipelineClient[HttpRequest, HttpResponse]


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
    def control_plane(self) -> str:
        """The address of Azure Resource Manager, without a slash at its end."""
        return self.resource_manager.rstrip("/")

    @property
    def scope(self) -> str:
        """The scope of a token for the control plane."""
        return self.control_plane + "/.default"

    def client_arguments(self) -> dict[str, Any]:
        """The arguments that make `MLClient` use this cloud."""
        metadata = {name: value for name, value in vars(self).items() if name != "name"}
        return {"cloud": self.name, "cloud_metadata": metadata}


class Rest:
    """One connection for a few calls. An address that starts with a slash is an ARM id on the control plane."""

    def __init__(self, pipeline: _Pipeline, control_plane: str) -> None:
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


class RestConnections:
    """Connections with an identity's token for the control plane. Thread-safe: each call has one for itself.

    The next call uses it again, because a TLS handshake takes longer than most calls. Nothing is retried.
    """

    def __init__(self, credential: TokenCredential, cloud: Cloud, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._credential = credential
        self._cloud = cloud
        self._clock = clock
        self._idle: list[_Idle] = []
        self._lock = Lock()
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def connected(self) -> Iterator[Rest]:
        """A connection for a few calls. Raises azure-core's errors."""
        pipeline = self._rested() or self._new()
        try:
            yield Rest(pipeline, self._cloud.control_plane)
        except BaseException:  # what is left of an answer may still be on its way
            pipeline.close()
            raise
        with self._lock:
            self._idle.append(_Idle(pipeline, self._clock()))

    def _rested(self) -> _Pipeline | None:
        """The connection that was used last, if there is one to use again. Closes those that were idle for too long."""
        oldest = self._clock() - LONGEST_IDLE
        with self._lock:
            expired = [each for each in self._idle if each.since < oldest]
            self._idle[:] = [each for each in self._idle if each.since >= oldest]
            found = self._idle.pop().pipeline if self._idle else None
        _close(expired)
        return found

    def _new(self) -> _Pipeline:
        policies = [
            RequestIdPolicy(),
            UserAgentPolicy(sdk_moniker="mlpromote"),
            ARMChallengeAuthenticationPolicy(self._credential, self._cloud.scope),
            HttpLoggingPolicy(),
        ]
        return ARMPipelineClient(
            self._cloud.control_plane,
            policies=policies,
            connection_timeout=CONNECTION_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )


@dataclass(frozen=True)
class _Idle:
    pipeline: _Pipeline
    since: float  #: monotonic seconds


def _close(idle: list[_Idle]) -> None:
    for each in idle:
        each.pipeline.close()


def _content(response: HttpResponse) -> Any:
    if response.status_code >= 400:
        raise HttpResponseError(response=response)
    return response.json() if response.text().strip() else None
