"""Pipelines: what a pipeline job ran, its copy in the registry, and a job that runs that copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from shared.core.approval import Author


@dataclass(frozen=True)
class Bound:
    """What an input is bound to: a value, the input or output that `${{parent.…}}` names, or data."""

    value: str = ""
    data: str = ""  #: id or address of data, or of a model
    kind: str = ""  #: of data: uri_file, uri_folder, mltable, mlflow_model, …
    mode: str = ""  #: how data gets to the step: ro_mount, download, …


@dataclass(frozen=True)
class Node:
    """One step of a pipeline."""

    kind: str  #: Azure ML's type: command, sweep, parallel, pipeline, …
    component: str  #: its id
    inputs: Mapping[str, Bound] = field(default_factory=dict)
    outputs: Mapping[str, Bound] = field(default_factory=dict)  #: with the pipeline's output that each becomes
    #: In Azure ML's form: `resources`, `distribution`, `limits`, `environment_variables`; also `environment`, the id
    #: of an environment asset that the step uses instead of its component's.
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineJob:
    """A pipeline job as the workspace returns it."""

    name: str
    status: str = ""
    experiment: str = ""
    made_from: str = ""  #: id of the pipeline component that it runs; then it has no nodes
    nodes: Mapping[str, Node] = field(default_factory=dict)
    inputs: Mapping[str, Bound] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)  #: type by name
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    compute: str = ""  #: name of the default compute
    is_pipeline: bool = True


@dataclass(frozen=True)
class Component:
    """A component, in a workspace, in a registry or in a local file."""

    kind: str
    code: str = ""  #: id of its code asset; empty without code
    environment: str = ""  #: id of its environment asset
    #: Everything else: command, inputs, outputs, resources, … Numbers and booleans are strings.
    specification: Mapping[str, Any] = field(default_factory=dict)
    is_archived: bool = False


@dataclass(frozen=True)
class EnvironmentAsset:
    """A version of an environment asset."""

    asset_id: str
    name: str
    version: str
    image: str = ""
    conda: str = ""  #: YAML or JSON
    build: str = ""  #: address of a Docker build context
    dockerfile: str = ""
    is_anonymous: bool = False  #: described in a component or a job
    #: Of a registry's copy: the asset that it was shared from. Of a workspace's asset: itself, in the same form.
    origin: str = ""


@dataclass(frozen=True)
class PipelineDefinition:
    """A pipeline in local files, with ids that exist only here."""

    job: PipelineJob
    components: Mapping[str, Component]
    codes: Mapping[str, Mapping[str, bytes]]
    environments: Mapping[str, EnvironmentAsset]


@dataclass(frozen=True)
class PipelineSubmission:
    """A pipeline job to submit: steps of registered components, with a workspace's own compute and data."""

    name: str
    experiment: str
    nodes: Mapping[str, Node]
    inputs: Mapping[str, Bound]
    outputs: Mapping[str, str]  #: type by name
    compute: str
    identity: str = ""  #: client id; empty for the compute's own
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


class Pipelines(Protocol):
    """A workspace's pipelines, and components, code and environments of the registry.

    Ids are ARM ids of the workspace or `azureml://registries/…`. Nothing waits, as in `Workspace`.
    """

    def pipeline_job(self, name: str) -> PipelineJob | None: ...
    def pipeline_definition(self, file: Path) -> PipelineDefinition: ...  # RejectedError if unusable
    def component(self, asset_id: str) -> Component | None: ...
    def environment_asset(self, asset_id: str) -> EnvironmentAsset | None: ...  # also by a label
    # `azureml:NAME:VERSION` or `azureml:NAME@latest` of the workspace; RejectedError for anything else
    def environment_named(self, reference: str) -> EnvironmentAsset | None: ...
    def has_code(self, asset_id: str) -> bool: ...
    def code_files(self, asset_id: str) -> Mapping[str, bytes] | None: ...  # by path; RejectedError for too much
    def job_authors(self, job: str) -> Sequence[Author]: ...  # without an id if unknown

    def registry_id(self, kind: str, name: str, version: str) -> str: ...  # kind: components, codes, environments
    def start_code(self, name: str, version: str, files: Mapping[str, bytes]) -> None: ...
    def start_environment(self, name: str, version: str, asset: EnvironmentAsset) -> None: ...
    def start_environment_share(self, name: str, version: str, new: tuple[str, str] | None = None) -> None:
        """Start copying a version of the workspace's own. `new`: name and version of the copy, if they differ."""

    def start_component(self, name: str, version: str, component: Component, tags: Mapping[str, str]) -> None: ...

    def start_pipeline(self, submission: PipelineSubmission) -> None: ...
