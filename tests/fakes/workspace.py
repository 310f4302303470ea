"""An Azure ML workspace with its registry, in memory: implements the `Workspace` port for fast tests.

It behaves like Azure ML where the steps could go wrong: what is started takes a number of polls to be there, names can
be taken, traffic only goes to what exists, and any call can be made to fail.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.core.approval import Author
from shared.ports import (
    Answer,
    BusyError,
    Capability,
    Deployment,
    DeploymentFile,
    Endpoint,
    EndpointFile,
    EndpointKind,
    EndpointSettings,
    EventSubscription,
    Job,
    JobOutput,
    Model,
    RegistryData,
    RejectedError,
    StepMetrics,
    SubmittedJob,
    Workspace,
)
from tests.fakes.batch import FakeBatch, batch_deployment_file, batch_endpoint_file
from tests.fakes.capacity import FakeCapacities
from tests.fakes.endpoints import made_from
from tests.fakes.live_figures import FakeLiveFigures
from tests.fakes.online_endpoints import FakeOnlineEndpoints
from tests.fakes.pipelines import FakePipelineRegistry, FakePipelines

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class FakeRegistry(FakePipelineRegistry):
    """What several workspaces share to and read from."""

    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    data: dict[tuple[str, str], RegistryData] = field(default_factory=dict)


#: As infra/ makes it.
SUBSCRIBED = EventSubscription("mlpromote-1", "Succeeded", "https://func-mlpromote.azurewebsites.net/api/events")


@dataclass
class FakeWorkspace(FakeOnlineEndpoints, FakeBatch, FakePipelines, FakeLiveFigures, FakeCapacities):
    """State that tests set up and look at directly."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    name: str = "ws"
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    lost_files: set[tuple[str, str]] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    made_by: dict[tuple[str, str], Sequence[Author]] = field(default_factory=dict)
    batch_endpoints: dict[str, Endpoint] = field(default_factory=dict)
    batch_made: dict[tuple[str, str], Deployment] = field(default_factory=dict)
    out_of_reach: str | None = None  #: the workspace's region, where the registry is not replicated to it
    located: str = "westeurope"  #: the region
    subscriptions: list[EventSubscription] = field(default_factory=lambda: [SUBSCRIBED])
    rights_missing: dict[Capability, Sequence[str] | None] = field(default_factory=dict)  #: None: it cannot tell

    # --- to set up ---

    def has_model(self, name: str, version: str, created: datetime = CREATED, **more: Any) -> Model:
        asset_id = f"azureml://locations/west/workspaces/{self.name}/models/{name}/versions/{version}"
        model = Model(name, version, asset_id, created=created, path=f"azureml://datastores/blobs/paths/{name}", **more)
        self.models[name, version] = model
        return model

    def has_copy(
        self, name: str, version: str, origin: str | None, tags: Mapping[str, str] | None = None, **more: Any
    ) -> Model:
        """`origin`: None for what was registered in the registry directly."""
        asset_id = f"azureml://registries/reg/models/{name}/versions/{version}"
        copy = Model(name, version, asset_id, dict(tags or {}), origin=origin, **more)
        self.registry.models[name, version] = copy
        return copy

    # --- models and jobs ---

    def model(self, name: str, version: str) -> Model | None:
        self._called("model")
        return self.models.get((name, version))

    def has_files(self, model: Model) -> bool:
        self._called("has_files")
        return (model.name, model.version) not in self.lost_files

    def model_versions(self, name: str) -> Sequence[Model]:
        self._called("model_versions")
        return [model for model in reversed(self.models.values()) if model.name == name]

    def models_since(self, since: datetime) -> Sequence[Model]:
        self._called("models_since")
        return [model for model in self.models.values() if model.created and model.created >= since]

    def register_output(
        self, name: str, version: str, output: JobOutput, tags: Mapping[str, str], properties: Mapping[str, str]
    ) -> Model:
        self._called("register_output")
        there = self.models.get((name, version))
        if there and there.job != output.job.name:
            raise BusyError(f"model {name}, version {version}, already exists")
        self.has_model(name, version, tags=dict(tags), properties=dict(properties), job=output.job.name)
        self._died("register_output")
        return self.models[name, version]

    def job(self, name: str) -> Job | None:
        self._called("job")
        return self.jobs.get(name)

    def authors(self, model: Model) -> Sequence[Author]:
        self._called("authors")
        return self.made_by.get((model.name, model.version), ())

    def metrics(self, job: str) -> Mapping[str, float]:
        self._called("metrics")
        return self.job_metrics.get(job, {})

    def step_metrics(self, pipeline: str) -> Sequence[StepMetrics]:
        self._called("step_metrics")
        below = [job for job in self.jobs.values() if job.parent == pipeline]
        return [
            *(StepMetrics(job.name, job.node, self.job_metrics.get(job.name, {})) for job in below),
            *(StepMetrics(child.name, child.node, metrics) for child, metrics in self.children.get(pipeline, ())),
        ]

    # --- the registry ---

    def registry_model(self, name: str, version: str) -> Model | None:
        self._called("registry_model")
        key = ("share", name, version)
        if key in self._pending and self._is_ready(key):
            shared = self.models[name, version]
            self.has_copy(name, version, shared.asset_id, shared.tags, created=datetime.now(UTC))
        return self.registry.models.get((name, version))

    def registry_models_since(self, since: datetime, wanted: Callable[[str], bool]) -> Sequence[Model]:
        self._called("registry_models_since")
        models = self.registry.models.values()
        return [each for each in models if wanted(each.name) and each.created and each.created >= since]

    def start_share(self, name: str, version: str) -> None:
        self._called("start_share")
        self._pending.setdefault(("share", name, version), self.polls_until_ready)
        self._died("start_share")

    def data_origin(self, name: str, version: str) -> str:
        return f"azureml://locations/west/workspaces/{self.name}/data/{name}/versions/{version}"

    def registry_data(self, name: str, version: str) -> RegistryData | None:
        self._called("registry_data")
        key = ("share data", name, version)
        if key in self._pending and self._is_ready(key):
            asset_id = f"azureml://registries/reg/data/{name}/versions/{version}"
            self.registry.data[name, version] = RegistryData(asset_id, self.data_origin(name, version))
        return self.registry.data.get((name, version))

    def start_data_share(self, name: str, version: str) -> None:
        self._called("start_data_share")
        self._pending.setdefault(("share data", name, version), self.polls_until_ready)
        self._died("start_data_share")

    def region(self) -> str:
        self._called("region")
        return self.located

    def missing_region(self) -> str | None:
        self._called("missing_region")
        return self.out_of_reach

    def event_subscriptions(self) -> Sequence[EventSubscription]:
        self._called("event_subscriptions")
        return self.subscriptions

    def missing_rights(self, capability: Capability) -> Sequence[str] | None:
        self._called("missing_rights")
        return self.rights_missing.get(capability, ())

    # --- endpoints and deployments ---

    def with_endpoints(self, kind: EndpointKind) -> "FakeWorkspace":
        return WithBatchEndpoints(self) if kind is EndpointKind.BATCH else self

    # --- how it works ---

    @property
    def _shared(self) -> FakePipelineRegistry:
        return self.registry

    def _submit(self, job: SubmittedJob) -> None:
        self.submitted[job.name] = job
        self.creators[job.name] = self.identity
        self.jobs[job.name] = Job(job.name, "Running", "", outputs=dict(self.pipelines[job.name].outputs))

    @property
    def _workspace(self) -> str:
        return f"/subscriptions/s/workspaces/{self.name}"

    def _serves_batch(self, endpoint: str, deployment: str) -> bool:
        found = self.batch_made.get((endpoint, deployment))
        return found is not None and found.state == "Succeeded"


class WithBatchEndpoints(FakeWorkspace):
    """The same workspace, with its batch endpoints in place of its online endpoints. Both share all state."""

    def __init__(self, online: FakeWorkspace) -> None:
        self.__dict__ = online.__dict__
        self.__dict__["_online"] = online

    @property
    def endpoints(self) -> dict[str, Endpoint]:  # type: ignore[override]  # the other kind of the same state
        return self.batch_endpoints

    @property
    def made(self) -> dict[tuple[str, str], Deployment]:  # type: ignore[override]
        return self.batch_made

    def with_endpoints(self, kind: EndpointKind) -> FakeWorkspace:
        online: FakeWorkspace = self.__dict__["_online"]
        return self if kind is EndpointKind.BATCH else online

    def endpoint(self, name: str) -> Endpoint | None:
        found = super().endpoint(name)
        return replace(found, kind=EndpointKind.BATCH) if found else None

    def endpoint_file(self, file: Path) -> EndpointFile:
        self._called("endpoint_file")
        return batch_endpoint_file(file)

    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None:
        self._called("start_endpoint")
        wanted = batch_endpoint_file(file).settings if file else EndpointSettings()
        settings = replace(made_from(wanted, tags), auth_mode="aad_token")
        self.endpoints[name] = Endpoint(name, "Creating", {}, settings.tags, f"https://{name}/jobs", settings=settings)
        self._begin("endpoint", name)
        self._died("start_endpoint")

    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        given = [share for share in traffic.values() if share]
        if mirror or given not in ([], [100]):
            raise RejectedError(f"batch endpoint {endpoint} has one default")
        super().start_traffic(endpoint, traffic, mirror)

    def deployment_file(self, file: Path) -> DeploymentFile:
        self._called("deployment_file")
        return batch_deployment_file(file)

    def logs(self, endpoint: str, deployment: str, lines: int) -> str:
        self._called("logs")
        return ""

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        raise RejectedError(f"batch endpoint {endpoint} answers no requests")


_: type[Workspace] = FakeWorkspace  # lets the type checker prove that it implements the port
