"""The whole configuration: environments, routes through them, and the questions that the app asks of it."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from shared.config import patterns
from shared.config.fields import (
    ClientId,
    EnvironmentName,
    Label,
    ModelName,
    ModelPattern,
    RegistryName,
    Settings,
    Text,
)
from shared.config.policy import Policy
from shared.config.stage import StageSettings
from shared.config.workspace import WorkspaceId


class Environment(Settings):
    """Where models are registered or deployed: a workspace, and the identity to use there."""

    workspace: WorkspaceId = Field(description="ARM id of the Azure ML workspace.")
    identity: ClientId | None = Field(
        default=None,
        description="Client id of the user-assigned identity to use; the system-assigned one if left out.",
    )
    policy: Policy = Field(
        default_factory=Policy, description="What must hold of every deployment here, whichever route it comes by."
    )
    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its key in `environments`."""
        return self._name


class FromJobs(Settings):
    """Training jobs whose output is registered as the next version of a model when they have completed."""

    experiment: Text = Field(description="Experiment that the job belongs to.")
    tags: dict[Text, str] = Field(default={}, description="Tags that the job must have, with these values.")
    output: Text = Field(description="Name of the job's output that holds the model.")
    model: ModelName = Field(description="Name to register it under; one that `models` of this route takes.")

    def takes(self, experiment: str, tags: Mapping[str, str]) -> bool:
        """Whether a job of this experiment and with these tags is meant."""
        return experiment == self.experiment and not _missing(self.tags, tags)


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


def _one_or_list(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [schema["items"], {"type": schema.pop("type"), "items": schema.pop("items")}]


class Route(Settings):
    """A way through environments: which models take it, and its stages."""

    source: EnvironmentName = Field(
        alias="from", description="Where the models are registered: a key of `environments`."
    )
    models: tuple[ModelPattern, ...] = Field(
        min_length=1,
        description="Names of the models whose registration starts a promotion; `*`, `?` and `[…]` as in a shell.",
    )
    from_jobs: Annotated[tuple[FromJobs, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="Training jobs whose output is registered as a model: one, or a list.",
        json_schema_extra=_one_or_list,
    )
    require_tags: dict[Text, str] = Field(
        default={}, description="Tags that a model must have, with these values, to be promoted."
    )
    stages: tuple[StageSettings, ...] = Field(min_length=1, description="Its stops, in order.")
    _name: str = PrivateAttr("")

    @field_validator("stages", mode="after")
    @classmethod
    def _one_after_the_other(cls, stages: tuple[StageSettings, ...]) -> tuple[StageSettings, ...]:
        return stages[:1] + tuple(
            stage if "after" in stage.model_fields_set else stage.model_copy(update={"after": (before.name,)})
            for before, stage in pairwise(stages)
        )

    @property
    def name(self) -> str:
        """Its key in `routes`."""
        return self._name

    def takes(self, model: str) -> bool:
        """Whether the registration of a model of this name starts a promotion here."""
        return patterns.matches(self.models, model)

    def missing_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """The required tags, with their values, that `tags` lacks or has with another value."""
        return _missing(self.require_tags, tags)


def _missing(required: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    return {tag: value for tag, value in required.items() if tags.get(tag) != value}


class Places(Settings):
    """Where things are, which is all that a worker has to know of the configuration."""

    registry: RegistryName = Field(description="Name of the Azure ML registry that all environments read from.")
    environments: dict[EnvironmentName, Environment] = Field(
        min_length=1, description="Workspaces by the name that routes use; a queue is named after each."
    )

    @model_validator(mode="after")
    def _name_the_environments(self) -> Self:
        for name, environment in self.environments.items():
            environment._name = name
        return self


class Configuration(Places):
    """Which models are promoted from where to where, and what must hold on the way."""

    routes: dict[Label, Route] = Field(min_length=1, description="Ways through the environments, by name.")

    @model_validator(mode="after")
    def _name_the_routes(self) -> Self:
        for name, route in self.routes.items():
            route._name = name
        return self

    @cached_property
    def hash(self) -> str:
        """SHA-256, in hex, of all settings, defaults and `${SETTING}`s filled in. Comments do not count, nor does the
        order of keys."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def environment_of(self, workspace_id: str) -> Environment | None:
        """The first environment in this workspace (an ARM id in any casing); None if it is not configured."""
        return next((each for each in self.environments.values() if each.workspace.has_id(workspace_id)), None)

    def routes_for(self, workspace_id: str, model: str) -> list[Route]:
        """The routes that a model of this name takes when it is registered in this workspace (an ARM id)."""
        return [route for route in self._routes_from(workspace_id) if route.takes(model)]

    def routes_for_job(
        self, workspace_id: str, experiment: str, tags: Mapping[str, str]
    ) -> list[tuple[Route, FromJobs]]:
        """Each route that takes a model from this job of this workspace (an ARM id), with the entry that says so."""
        return [
            (route, jobs)
            for route in self._routes_from(workspace_id)
            for jobs in route.from_jobs
            if jobs.takes(experiment, tags)
        ]

    def tags_asked_for(self, workspace_id: str) -> frozenset[str]:
        """Names of all tags that decide about models and jobs of this workspace (an ARM id)."""
        routes = self._routes_from(workspace_id)
        asked = [route.require_tags for route in routes] + [jobs.tags for route in routes for jobs in route.from_jobs]
        return frozenset(tag for tags in asked for tag in tags)

    def metrics_asked_for(self) -> tuple[str, ...]:
        """Names of all metrics that a gate of any stage looks at, sorted."""
        stages = (stage for route in self.routes.values() for stage in route.stages)
        return tuple(sorted({gate.metric for stage in stages for gate in stage.gates}))

    def _routes_from(self, workspace_id: str) -> list[Route]:
        return [
            route for route in self.routes.values() if self.environments[route.source].workspace.has_id(workspace_id)
        ]
