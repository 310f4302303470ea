"""An Azure ML workspace with its registry, in memory: implements the `Workspace` port for fast tests.

It behaves like Azure ML where the steps could go wrong: what is started takes a number of polls to be there, names can
be taken, traffic only goes to what exists, and any call can be made to fail.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from shared.config import plain_yaml
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
from tests.fakes.endpoints import endpoint_file, made_from, with_changes
from tests.fakes.live_figures import FakeLiveFigures
from tests.fakes.monitors import FakeMonitors
from tests.fakes.pipelines import FakePipelineRegistry, FakePipelines

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class FakeRegistry(FakePipelineRegistry):
    """What several workspaces share to and read from."""

    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    data: dict[tuple[str, str], RegistryData] = field(default_factory=dict)


#: As infra/ makes it.
SUBSCRIBED = EventSubscription("mlpromote-1", "Succeeded", "https://func-mlpromote.azurewebsites.net/api/events")


#: Azure's limit, in per cent.
MOST_MIRRORED = 50


@dataclass
class FakeWorkspace(FakeBatch, FakePipelines, FakeLiveFigures, FakeCapacities, FakeMonitors):
    """State that tests set up and look at directly."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    name: str = "ws"
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    lost_files: set[tuple[str, str]] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    made_by: dict[tuple[str, str], Sequence[Author]] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    made: dict[tuple[str, str], Deployment] = field(default_factory=dict)  #: deployments by endpoint and name
    batch_endpoints: dict[str, Endpoint] = field(default_factory=dict)
    batch_made: dict[tuple[str, str], Deployment] = field(default_factory=dict)
    container_log: str = ""
    answer: Answer = field(default_factory=lambda: Answer(200, "{}", 0.01))
    answers: list[Answer] = field(default_factory=list)  #: returned first, in this order
    fails_to_deploy: str = ""  #: Azure ML's error for the next deployments, where it is not empty
    unread: str = ""  #: why that error cannot be read, where it is not empty
    out_of_reach: str | None = None  #: the workspace's region, where the registry is not replicated to it
    located: str = "westeurope"  #: the region
    subscriptions: list[EventSubscription] = field(default_factory=lambda: [SUBSCRIBED])
    rights_missing: dict[Capability, Sequence[str] | None] = field(default_factory=dict)  #: None: it cannot tell
    keeps_state: set[str] = field(default_factory=set)  #: deployments whose present state does not change by itself
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)  #: endpoint, deployment and scoring request
    #: traffic and mirror, not shown before they are there
    _coming_traffic: dict[str, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)

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

    def has_endpoint(self, name: str, tags: Mapping[str, str], traffic: Mapping[str, int] | None = None) -> Endpoint:
        self.endpoints[name] = Endpoint(
            name,
            "Succeeded",
            dict(traffic or {}),
            dict(tags),
            f"https://{name}/score",
            settings=made_from(EndpointSettings(), tags),
        )
        return self.endpoints[name]

    def has_deployment(self, endpoint: str, name: str, tags: Mapping[str, str], state: str = "Succeeded") -> Deployment:
        self.made[endpoint, name] = Deployment(name, state, dict(tags), "azureml://registries/reg/models/m/versions/1")
        return self.made[endpoint, name]

    # --- to look at ---

    def traffic(self, endpoint: str) -> dict[str, int]:
        """Per cent by deployment, with 0 for those that take none."""
        without = {deployment: 0 for there, deployment in self.made if there == endpoint}
        return without | dict(self.endpoints[endpoint].traffic)

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

    def endpoint(self, name: str) -> Endpoint | None:
        self._called("endpoint")
        found = self.endpoints.get(name)
        if found and found.state in ("Creating", "Updating") and self._is_ready(("endpoint", name)):
            traffic, mirror = self._coming_traffic.pop(name, (found.traffic, found.mirror))
            found = self.endpoints[name] = replace(found, state="Succeeded", traffic=traffic, mirror=mirror)
        return (
            replace(found, traffic={each: share for each, share in found.traffic.items() if share}) if found else None
        )

    def endpoint_file(self, file: Path) -> EndpointFile:
        self._called("endpoint_file")
        return endpoint_file(file)

    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None:
        self._called("start_endpoint")
        settings = made_from(endpoint_file(file).settings if file else EndpointSettings(), tags)
        self.endpoints[name] = Endpoint(name, "Creating", {}, settings.tags, f"https://{name}/score", settings=settings)
        self._begin("endpoint", name)
        self._died("start_endpoint")

    def start_endpoint_change(self, name: str, file: Path) -> None:
        self._called("start_endpoint_change")
        found = self._idle(name)
        settings = with_changes(found.settings, endpoint_file(file).settings)
        self.endpoints[name] = replace(found, state="Updating", tags=settings.tags, settings=settings)
        self._begin("endpoint", name)
        self._died("start_endpoint_change")

    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        self._called("start_traffic")
        found = self._idle(endpoint)
        states = {name: found.state for (there, name), found in self.made.items() if there == endpoint}
        missing = [name for name in traffic if states.get(name, "Deleting") == "Deleting"]
        if missing or sum(traffic.values()) not in (0, 100):
            raise RejectedError(f"traffic {dict(traffic)} cannot be given: {missing} missing")
        live = [name for name in mirror if traffic.get(name) or name not in states]
        if live or len(mirror) > 1 or any(share > MOST_MIRRORED for share in mirror.values()):
            raise RejectedError(f"requests cannot be mirrored to {dict(mirror)}")
        self.endpoints[endpoint] = replace(found, state="Updating")
        self._coming_traffic[endpoint] = dict(traffic), dict(mirror)
        self._begin("endpoint", endpoint)
        self._died("start_traffic")

    def deployments(self, endpoint: str) -> Sequence[Deployment]:
        self._called("deployments")
        names = [name for there, name in self.made if there == endpoint]
        return [found for name in names if (found := self._settled(endpoint, name))]

    def deployment(self, endpoint: str, name: str) -> Deployment | None:
        self._called("deployment")
        return self._settled(endpoint, name)

    def deployment_file(self, file: Path) -> DeploymentFile:
        self._called("deployment_file")
        if not file.is_file():
            raise RejectedError(f"There is no deployment file {file}")
        try:
            content = plain_yaml.load(file.read_text())
        except yaml.YAMLError as fault:
            raise RejectedError(f"The deployment file {file.name} cannot be read") from fault
        if not isinstance(content, dict):
            raise RejectedError(f"The deployment file {file.name} is no YAML mapping")
        code = (content.get("code_configuration") or {}).get("code")
        scoring = sorted(each for each in (file.parent / code).rglob("*") if each.is_file()) if code else []
        environment = content.get("environment")
        collections = (content.get("data_collector") or {}).get("collections") or {}
        collects = frozenset(name for name, each in collections.items() if str(each.get("enabled")).lower() == "true")
        is_short = isinstance(environment, str) and environment.startswith("azureml:") and "/" not in environment
        return DeploymentFile(
            (file, *scoring),
            content.get("instance_type"),
            content.get("instance_count"),
            collects,
            str(environment) if is_short else "",
        )

    def start_deployment(
        self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str], environment: str = ""
    ) -> None:
        self._called("start_deployment")
        self._idle(endpoint, name)
        asked = self.deployment_file(file)
        made = Deployment(name, "Creating", dict(tags), model)
        self.made[endpoint, name] = replace(
            made,
            instance_type=asked.instance_type,
            instances=asked.instances,
            environment=environment or asked.environment or None,
        )
        self.collecting[endpoint, name] = asked.collects
        self._begin("deployment", endpoint, name)
        self._died("start_deployment")

    def start_removal(self, endpoint: str, deployment: str) -> None:
        self._called("start_removal")
        found = self._idle(endpoint, deployment)
        if found.traffic.get(deployment):
            raise RejectedError(f"deployment {deployment} takes traffic")
        if (endpoint, deployment) in self.made:
            self.made[endpoint, deployment] = replace(self.made[endpoint, deployment], state="Deleting")
            self._begin("deployment", endpoint, deployment)
        self._died("start_removal")

    def logs(self, endpoint: str, deployment: str, lines: int) -> str:
        self._called("logs")
        return "\n".join(self.container_log.splitlines()[-lines:])

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        self._called("score")
        if endpoint not in self.endpoints:
            raise RejectedError(f"endpoint {endpoint} is not there")
        for request in requests:
            self.asked.append((endpoint, deployment, request))
            yield self.answers.pop(0) if self.answers else self.answer

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

    def _is_deployed(self, endpoint: str, deployment: str) -> bool:
        return (endpoint, deployment) in self.made

    def _serves_batch(self, endpoint: str, deployment: str) -> bool:
        found = self.batch_made.get((endpoint, deployment))
        return found is not None and found.state == "Succeeded"

    def _idle(self, endpoint: str, deployment: str | None = None) -> Endpoint:
        """The endpoint, with no operation under way on it, nor on the deployment: Azure ML refuses a second one."""
        found = self.endpoints.get(endpoint)
        if found is None:
            raise RejectedError(f"there is no endpoint {endpoint}")
        states = [found.state, *(each.state for key, each in self.made.items() if key == (endpoint, deployment))]
        if any(state in ("Creating", "Updating", "Deleting") for state in states):
            raise BusyError(f"endpoint {endpoint} is busy")
        return found

    def _settled(self, endpoint: str, name: str) -> Deployment | None:
        found = self.made.get((endpoint, name))
        if name in self.keeps_state:
            return found
        if found is None or not self._is_ready(("deployment", endpoint, name)):
            return found
        if found.state == "Deleting":
            del self.made[endpoint, name]
            return None
        if found.state == "Creating":
            state = "Failed" if self.fails_to_deploy else "Succeeded"
            error = "" if self.unread else self.fails_to_deploy
            found = self.made[endpoint, name] = replace(found, state=state, error=error, unread=self.unread)
        return found


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
