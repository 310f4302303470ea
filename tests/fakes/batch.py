"""Batch endpoints in memory: implements the port `BatchInvocations`, and reads batch deployment files."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from shared.ports import (
    Cluster,
    DeploymentFile,
    EndpointFile,
    EndpointSettings,
    Invocation,
    RejectedError,
    SubmittedJob,
)
from tests.fakes.jobs import FakeJobs, JobOutcome

SIZE = "STANDARD_DS3_V2"


@dataclass(kw_only=True)
class FakeBatch(FakeJobs):
    """State that tests set up and look at directly."""

    #: By deployment: what the job of an invocation writes; None: no file. Other deployments write one row.
    rows: dict[str, bytes | None] = field(default_factory=dict)
    #: Deployments whose jobs fail.
    fails_to_score: set[str] = field(default_factory=set)
    its_cluster: Cluster = field(default_factory=lambda: Cluster(SIZE, most_nodes=1))  #: what each of `computes` is
    files: dict[str, bytes] = field(default_factory=dict)  #: of the default datastore, by path
    invocations: list[tuple[str, str, Invocation]] = field(default_factory=list)  #: endpoint, deployment, and what

    def cluster(self, name: str) -> Cluster | None:
        self._called("cluster")
        return self.its_cluster if name in self.computes else None

    def start_invocation(self, endpoint: str, deployment: str, invocation: Invocation) -> SubmittedJob:
        self._called("start_invocation")
        if not self._serves_batch(endpoint, deployment):
            raise RejectedError(f"batch endpoint {endpoint} has no deployment {deployment} that is ready")
        if invocation.name not in self.submitted:
            self.invocations.append((endpoint, deployment, invocation))
            self.submitted[invocation.name] = SubmittedJob(
                name=invocation.name,
                workspace=self._workspace,
                status="Queued",
                inputs={"input": invocation.asset},
                studio=f"https://ml.azure.com/runs/{invocation.name}",
            )
            self.creators[invocation.name] = self.identity
            if deployment in self.fails_to_score:
                self.outcomes[invocation.name] = JobOutcome("Failed", error="UserError: the scoring script failed")
            content = self.rows.get(deployment, b"1 0.5\n")
            if content is not None:
                self.files[invocation.output] = content
        self._died("start_invocation")
        return self.submitted[invocation.name]

    def written(self, path: str, most: int) -> bytes | None:
        self._called("written")
        content = self.files.get(path)
        return content[:most] if content is not None else None

    def _serves_batch(self, endpoint: str, deployment: str) -> bool:
        raise NotImplementedError


def batch_deployment_file(file: Path) -> DeploymentFile:
    """What the file requests."""
    if not file.is_file():
        raise RejectedError(f"There is no deployment file {file}")
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as fault:
        raise RejectedError(f"The deployment file {file.name} cannot be read") from fault
    if not isinstance(content, dict) or "component" in content or not content.get("compute"):
        raise RejectedError(f"The deployment file {file.name} does not describe a batch deployment of a model")
    code = (content.get("code_configuration") or {}).get("code")
    scoring = sorted(each for each in (file.parent / code).rglob("*") if each.is_file()) if code else []
    environment = content.get("environment")
    is_short = isinstance(environment, str) and environment.startswith("azureml:") and "/" not in environment
    return DeploymentFile(
        (file, *scoring),
        None,
        (content.get("resources") or {}).get("instance_count", 1),
        environment=str(environment) if is_short else "",
        compute=str(content["compute"]).removeprefix("azureml:"),
    )


def batch_endpoint_file(file: Path) -> EndpointFile:
    """What the file requests."""
    content = yaml.safe_load(file.read_text()) if file.is_file() else None
    if not isinstance(content, dict) or "defaults" in content or content.keys() & {"traffic", "compute"}:
        raise RejectedError(f"The endpoint file {file.name} does not describe a batch endpoint that can be used")
    settings = EndpointSettings(
        description=content.get("description"), tags=content.get("tags", {}), properties=content.get("properties", {})
    )
    return EndpointFile(file.resolve(), settings)
