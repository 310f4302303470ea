"""A workspace's online endpoints, and their deployments."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.cloud import azureml_deployments, azureml_endpoints, azureml_scoring
from shared.cloud.azureml_connection import ConnectedWorkspace
from shared.cloud.azureml_errors import told_in_words
from shared.cloud.azureml_sdk import importing
from shared.ports import Answer, Deployment, DeploymentFile, Endpoint, EndpointFile


class OnlineEndpointsOfWorkspace(ConnectedWorkspace):
    """The part of a workspace that reads and changes its online endpoints."""

    def endpoint(self, name: str) -> Endpoint | None:
        with self._rest(f"read endpoint {name}") as rest:
            found = azureml_deployments.read_endpoint(rest, self._id, name)
        return azureml_deployments.endpoint_from(found, *self._why_broken(found)) if found else None

    def endpoint_file(self, file: Path) -> EndpointFile:
        return azureml_endpoints.described(file)

    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None:
        with importing():
            from azure.ai.ml.entities import ManagedOnlineEndpoint

        made = azureml_endpoints.load(file, name) if file else ManagedOnlineEndpoint(name=name, auth_mode="key")
        made.tags = {**(made.tags or {}), **tags}
        with self._client(f"create endpoint {name}") as client:
            client.online_endpoints.begin_create_or_update(made)

    def start_endpoint_change(self, name: str, file: Path) -> None:
        with self._client(f"change the settings of endpoint {name}") as client:
            found = client.online_endpoints.get(name)
            client.online_endpoints.begin_create_or_update(azureml_endpoints.changed(found, file))

    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        with self._client(f"set the traffic of endpoint {endpoint}") as client:
            found = client.online_endpoints.get(endpoint)
            found.traffic, found.mirror_traffic = dict(traffic), dict(mirror)
            client.online_endpoints.begin_create_or_update(found)

    def deployments(self, endpoint: str) -> Sequence[Deployment]:
        with self._rest(f"list the deployments of endpoint {endpoint}") as rest:
            found = azureml_deployments.read_deployments(rest, self._id, endpoint)
            return [self._with_asset_id(azureml_deployments.deployment_from(each)) for each in found]

    def deployment(self, endpoint: str, name: str) -> Deployment | None:
        with self._rest(f"read deployment {name} of endpoint {endpoint}") as rest:
            found = azureml_deployments.read_deployment(rest, self._id, endpoint, name)
        if not found:
            return None
        return self._with_asset_id(azureml_deployments.deployment_from(found, *self._why_broken(found)))

    def deployment_file(self, file: Path) -> DeploymentFile:
        return azureml_deployments.described(file)

    def start_deployment(
        self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str], environment: str = ""
    ) -> None:
        deployment = azureml_deployments.load(file, endpoint, name, self._arm_id(model), environment)
        deployment.tags = {**(deployment.tags or {}), **tags}
        with self._client(f"create deployment {name} of endpoint {endpoint}") as client:
            client.online_deployments.begin_create_or_update(deployment)

    def start_removal(self, endpoint: str, deployment: str) -> None:
        with self._client(f"remove deployment {deployment} of endpoint {endpoint}") as client:
            client.online_deployments.begin_delete(deployment, endpoint)

    def logs(self, endpoint: str, deployment: str, lines: int) -> str:
        with self._client(f"read the log of deployment {deployment} of endpoint {endpoint}") as client:
            return str(client.online_deployments.get_logs(deployment, endpoint, lines))

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        with self._rest(f"ask endpoint {endpoint}") as rest:
            place = f"{self._id}/onlineEndpoints/{endpoint}"
            scope = f"{self._cloud.aml_resource_id.rstrip('/')}/.default"
            address, key = azureml_scoring.address_and_key(rest, place, lambda: self._credential.get_token(scope).token)
        with told_in_words(self._who, f"ask endpoint {endpoint}"):
            yield from azureml_scoring.answers(address, key, deployment, requests)
