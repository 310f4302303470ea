"""The whole configuration: environments, routes through them, and lookups for the app."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from shared.config import patterns
from shared.config.fields import (
    ClientId,
    Currency,
    EnvironmentName,
    Label,
    Margin,
    ModelName,
    ModelPattern,
    RegistryName,
    Settings,
    Text,
)
from shared.config.pipeline_route import PipelineRoute
from shared.config.policy import Policy
from shared.config.shared_data import SHARED_DATA, SharedData
from shared.config.stage import StageSettings
from shared.config.succession import one_after_the_other
from shared.config.wording import OF_MODELS, OF_PIPELINES
from shared.config.workspace import WorkspaceId
from shared.core.asset_names import registry_id

#: What a route is `from` whose models come from the registry. No environment has this name.
REGISTRY = "registry"


class Environment(Settings):
    """Where models are registered or deployed: a workspace, and the identity to use there."""

    workspace: WorkspaceId = Field(description="ARM id of the Azure ML workspace.")
    identity: ClientId | None = Field(
        default=None,
        description="Client id of the user-assigned identity to use. Default: the system-assigned identity.",
    )
    policy: Policy = Field(default_factory=Policy, description="Rules for every deployment here, whatever its route.")
    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its key in `environments`."""
        return self._name


class FromJobs(Settings):
    """Training jobs whose output is registered as a model's next version when they complete."""

    experiment: Text = Field(description="Experiment that the job belongs to.")
    tags: dict[Text, str] = Field(default={}, description="Tags that the job must have, with these values.")
    output: Text = Field(description="Name of the job's output that holds the model.")
    model: ModelName = Field(description="Model name to register it under; `models` of this route must match it.")

    def takes(self, experiment: str, tags: Mapping[str, str]) -> bool:
        """Return whether a job of this experiment with these tags matches."""
        return experiment == self.experiment and not _missing(self.tags, tags)


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


def _one_or_list(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [schema["items"], {"type": schema.pop("type"), "items": schema.pop("items")}]


class Route(Settings):
    """A way through environments: its models and its stages."""

    source: EnvironmentName = Field(
        alias="from",
        description="Where the models are registered: a key of `environments`, or `registry` for models that were "
        "registered in the registry directly.",
    )
    models: tuple[ModelPattern, ...] = Field(
        min_length=1,
        description="Names of the models whose registration starts a promotion. `*`, `?` and `[…]` work as in a shell.",
    )
    from_jobs: Annotated[tuple[FromJobs, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="Training jobs whose output is registered as a model: one, or a list.",
        json_schema_extra=_one_or_list,
    )
    require_tags: dict[Text, str] = Field(
        default={}, description="Tags that a model must have, with these values, to be promoted."
    )
    share_data: SharedData = SHARED_DATA
    stages: tuple[StageSettings, ...] = Field(min_length=1, description="The stages of the route, in order.")
    _name: str = PrivateAttr("")
    _bundle: str = PrivateAttr("")

    @field_validator("stages", mode="after")
    @classmethod
    def _one_after_the_other(cls, stages: tuple[StageSettings, ...]) -> tuple[StageSettings, ...]:
        return one_after_the_other(stages)

    @property
    def name(self) -> str:
        """Its key in `routes`."""
        return self._name

    @property
    def bundle(self) -> str:
        """Digest of the bundle that it is from; empty if it is from the app's own configuration."""
        return self._bundle

    @property
    def is_from_registry(self) -> bool:
        return self.source == REGISTRY

    @property
    def about(self) -> str:
        """What it promotes, in words."""
        return ", ".join(self.models)

    def takes(self, model: str) -> bool:
        """Return whether the registration of a model of this name starts a promotion here."""
        return patterns.matches(self.models, model)

    def missing_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return the required tags that `tags` lacks or has with a different value."""
        return _missing(self.require_tags, tags)


def _missing(required: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    return {tag: value for tag, value in required.items() if tags.get(tag) != value}


def _promotes(content: Any) -> str:
    """Which kind of route it is, as `wording` knows the two."""
    is_pipeline = "pipelines" in content if isinstance(content, Mapping) else isinstance(content, PipelineRoute)
    return OF_PIPELINES if is_pipeline else OF_MODELS


AnyRoute = Annotated[
    Annotated[Route, Tag(OF_MODELS)] | Annotated[PipelineRoute, Tag(OF_PIPELINES)], Discriminator(_promotes)
]


class Places(Settings):
    """The registry and the environments, which is all of the configuration that a worker needs."""

    registry: RegistryName = Field(description="Name of the Azure ML registry that all environments read from.")
    environments: dict[EnvironmentName, Environment] = Field(
        min_length=1, description="Workspaces, by the name that routes use. A pair of queues is named after each."
    )
    prices: dict[Text, Margin] = Field(
        default={},
        description="What one instance of a deployment costs an hour, by size, such as `Standard_DS3_v2`. People who "
        "approve see what the promotion will cost.",
    )
    currency: Currency = Field(default="", validate_default=False, description="Of `prices`, such as EUR.")

    @model_validator(mode="after")
    def _name_the_currency(self) -> Self:
        if self.prices and not self.currency:
            raise ValueError("prices need a currency, such as currency: EUR")
        return self

    @model_validator(mode="after")
    def _name_the_environments(self) -> Self:
        for name, environment in self.environments.items():
            environment._name = name
        return self


class Configuration(Places):
    """Which models are promoted from where to where, and on which conditions."""

    routes: dict[Label, AnyRoute] = Field(min_length=1, description="Ways through the environments, by name.")

    @model_validator(mode="after")
    def _name_the_routes(self) -> Self:
        for name, route in self.routes.items():
            route._name = name
        return self

    @cached_property
    def hash(self) -> str:
        """SHA-256, in hex, of all settings, with defaults and `${SETTING}`s filled in. Comments and the order of keys
        do not affect it."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def source_of(self, route: Route) -> Environment:
        """Return the environment whose worker does what is done where the models come from. A registry has no worker:
        then it is that of the first stage."""
        return self.environments[route.stages[0].environment if route.is_from_registry else route.source]

    def origin_of(self, route: Route | PipelineRoute) -> str:
        """Return the id of where it all comes from: a workspace's ARM id, or the registry's id."""
        if route.source == REGISTRY:
            return registry_id(self.registry)
        return self.environments[route.source].workspace.id

    def is_at_home(self, route: Route, stage: StageSettings) -> bool:
        """Return whether the stage deploys in the workspace that the route's models come from."""
        return self.environments[stage.environment].workspace.has_id(self.origin_of(route))

    def environment_of(self, workspace_id: str) -> Environment | None:
        """Return the first environment in this workspace (an ARM id in any casing), or None."""
        return next((each for each in self.environments.values() if each.workspace.has_id(workspace_id)), None)

    def routes_for(self, workspace_id: str, model: str) -> list[Route]:
        """Return the routes that take a model of this name from this workspace (an ARM id)."""
        return [route for route in self._routes_from(workspace_id) if route.takes(model)]

    @property
    def model_routes(self) -> Sequence[Route]:
        """The routes that promote models."""
        return [route for route in self.routes.values() if isinstance(route, Route)]

    @property
    def pipeline_routes(self) -> Sequence[PipelineRoute]:
        """The routes that promote pipelines."""
        return [route for route in self.routes.values() if isinstance(route, PipelineRoute)]

    def pipeline_routes_for_job(
        self, workspace_id: str, experiment: str, tags: Mapping[str, str]
    ) -> list[PipelineRoute]:
        """Return the routes that promote what this job of this workspace (an ARM id) ran."""
        return [
            route
            for route in self.pipeline_routes
            if self._is_from(route, workspace_id) and route.pipelines.takes(experiment, tags)
        ]

    def routes_for_job(
        self, workspace_id: str, experiment: str, tags: Mapping[str, str]
    ) -> list[tuple[Route, FromJobs]]:
        """Return each route that takes a model from this job in this workspace (an ARM id), with the matching entry."""
        return [
            (route, jobs)
            for route in self._routes_from(workspace_id)
            for jobs in route.from_jobs
            if jobs.takes(experiment, tags)
        ]

    def tags_asked_for(self, workspace_id: str) -> frozenset[str]:
        """Return the names of all tags that matter for models and jobs of this workspace (an ARM id)."""
        routes = self._routes_from(workspace_id)
        asked = [route.require_tags for route in routes] + [jobs.tags for route in routes for jobs in route.from_jobs]
        asked += [route.pipelines.tags for route in self.pipeline_routes if self._is_from(route, workspace_id)]
        return frozenset(tag for tags in asked for tag in tags)

    def metrics_asked_for(self) -> tuple[str, ...]:
        """Names of all metrics that a gate of any stage looks at, sorted."""
        stages = (stage for route in self.model_routes for stage in route.stages)
        return tuple(sorted({gate.metric for stage in stages for gate in stage.gates}))

    def _routes_from(self, workspace_id: str) -> list[Route]:
        return [route for route in self.model_routes if self._is_from(route, workspace_id)]

    def _is_from(self, route: Route | PipelineRoute, workspace_id: str) -> bool:
        return self.origin_of(route).casefold() == workspace_id.rstrip("/").casefold()
