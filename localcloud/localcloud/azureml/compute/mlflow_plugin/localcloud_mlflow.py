"""A plug-in for MLflow: artifacts at `azureml://` addresses of the local cloud.

It runs where MLflow does, in jobs and on laptops, and knows nothing of the local cloud but its addresses. MLflow finds
it by the entry point beside this file, so this folder on PYTHONPATH is enough.
"""

import re
from typing import Any

# Only the environment of jobs has MLflow.
from mlflow.exceptions import MlflowException  # type: ignore[import-not-found]
from mlflow.store.artifact.http_artifact_repo import (  # type: ignore[import-not-found]
    HttpArtifactRepository,
)
from mlflow.tracking import get_tracking_uri  # type: ignore[import-not-found]

_ADDRESS = re.compile(
    r"azureml://(?P<authority>[^/]+)/mlflow/v2\.0(?P<workspace>/.+)/experiments/[^/]+/runs/(?P<artifact>[^/]+/artifacts.*)"
)


class AzureMLArtifacts(HttpArtifactRepository):  # type: ignore[misc]
    """Reads and writes a run's artifacts by the artifact API of its workspace's tracking server."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, *more: Any, **named: Any) -> None:
        super().__init__(_served_at(artifact_uri, tracking_uri or get_tracking_uri()), tracking_uri, *more, **named)


def _served_at(artifact_uri: str, tracking_uri: str) -> str:
    """The URL of a run's artifacts. Where the tracking server is the same workspace's, its address is the newer one."""
    found = _ADDRESS.fullmatch(artifact_uri)
    if not found:
        raise MlflowException(f"{artifact_uri} is no address of a run's artifacts in a local cloud.")
    server = f"https://{found['authority']}/mlflow/v1.0{found['workspace']}"
    if tracking_uri.startswith("https:") and tracking_uri.rstrip("/").endswith(found["workspace"]):
        server = tracking_uri.rstrip("/")
    run, _, path = found["artifact"].partition("/artifacts")
    return f"{server}/api/2.0/mlflow-artifacts/artifacts/{run}{path}"
