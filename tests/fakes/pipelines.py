"""Pipelines of an Azure ML workspace and its registry, in memory: implements the port `Pipelines` for fast tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from shared.core.approval import Author
from shared.ports import (
    BusyError,
    Component,
    EnvironmentAsset,
    PipelineDefinition,
    PipelineJob,
    PipelineSubmission,
    RejectedError,
    SubmittedJob,
)
from tests.fakes.work import FakeWork

T = TypeVar("T")

REGISTRY = "azureml://registries/reg"


@dataclass(kw_only=True)
class FakePipelineRegistry:
    """Components, code and environments by their ids."""

    components: dict[str, Component] = field(default_factory=dict)
    codes: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    environments: dict[str, EnvironmentAsset] = field(default_factory=dict)


@dataclass(kw_only=True)
class FakePipelines(FakeWork):
    """State that tests set up and look at directly. What is registered is there after `polls_until_ready` looks."""

    pipelines: dict[str, PipelineJob] = field(default_factory=dict)
    definitions: dict[str, PipelineDefinition] = field(default_factory=dict)  #: by the file's name
    own: FakePipelineRegistry = field(default_factory=FakePipelineRegistry)  #: of the workspace
    pipeline_authors: dict[str, Sequence[Author]] = field(default_factory=dict)
    submissions: list[PipelineSubmission] = field(default_factory=list)

    # --- the port ---

    def pipeline_job(self, name: str) -> PipelineJob | None:
        self._called("pipeline_job")
        return self.pipelines.get(name)

    def pipeline_definition(self, file: Path) -> PipelineDefinition:
        self._called("pipeline_definition")
        if file.name not in self.definitions:
            raise RejectedError(f"The pipeline {file.name} cannot be read")
        return self.definitions[file.name]

    def component(self, asset_id: str) -> Component | None:
        self._called("component")
        return self._place(asset_id).components.get(asset_id) if self._is_there(asset_id) else None

    def environment_asset(self, asset_id: str) -> EnvironmentAsset | None:
        self._called("environment_asset")
        return self._place(asset_id).environments.get(asset_id) if self._is_there(asset_id) else None

    def environment_named(self, reference: str) -> EnvironmentAsset | None:
        self._called("environment_named")
        name, _, version = reference.removeprefix("azureml:").replace("@latest", ":@latest").partition(":")
        if not version or not reference.startswith("azureml:"):
            raise RejectedError(f"{reference} names no environment")
        found = [each for each in self.own.environments.values() if each.name == name]
        if version == "@latest":
            return found[-1] if found else None
        return next((each for each in found if each.version == version), None)

    def has_code(self, asset_id: str) -> bool:
        self._called("has_code")
        return asset_id in self._place(asset_id).codes and self._is_there(asset_id)

    def code_files(self, asset_id: str) -> Mapping[str, bytes] | None:
        self._called("code_files")
        return self._place(asset_id).codes.get(asset_id)

    def job_authors(self, job: str) -> Sequence[Author]:
        self._called("job_authors")
        return self.pipeline_authors.get(job, ())

    def registry_id(self, kind: str, name: str, version: str) -> str:
        return f"{REGISTRY}/{kind}/{name}/versions/{version}"

    def start_code(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        self._called("start_code")
        self._take_on(self._shared.codes, self.registry_id("codes", name, version), dict(files))
        self._died("start_code")

    def start_environment(self, name: str, version: str, asset: EnvironmentAsset) -> None:
        self._called("start_environment")
        key = self.registry_id("environments", name, version)
        self._take_on(self._shared.environments, key, replace(asset, asset_id=key, name=name, version=version))

    def start_environment_share(self, name: str, version: str, new: tuple[str, str] | None = None) -> None:
        self._called("start_environment_share")
        found = next(each for each in self.own.environments.values() if (each.name, each.version) == (name, version))
        name, version = new or (name, version)
        key = self.registry_id("environments", name, version)
        copy = replace(found, asset_id=key, name=name, version=version, is_anonymous=False)
        self._take_on(self._shared.environments, key, copy)

    def start_component(self, name: str, version: str, component: Component, tags: Mapping[str, str]) -> None:
        self._called("start_component")
        for kind, referred in (("codes", component.code), ("environments", component.environment)):
            known = self._shared.codes if kind == "codes" else self._shared.environments
            if referred and referred.startswith(REGISTRY) and referred not in known:
                raise RejectedError(f"Could not find asset with ID: {referred}")
            if referred.startswith("/subscriptions/"):
                raise RejectedError(f"{referred} is in a workspace, and the registry takes assets of a registry only")
        self._take_on(self._shared.components, self.registry_id("components", name, version), component)
        self._died("start_component")

    def start_pipeline(self, submission: PipelineSubmission) -> None:
        self._called("start_pipeline")
        if submission.name in self.pipelines:
            return
        self.submissions.append(submission)
        job = PipelineJob(
            submission.name,
            "Queued",
            submission.experiment,
            nodes=submission.nodes,
            inputs=submission.inputs,
            outputs=submission.outputs,
            tags=submission.tags,
            compute=submission.compute,
        )
        self.pipelines[submission.name] = job
        self._submit(
            SubmittedJob(
                submission.name,
                self._workspace,
                "Queued",
                dict(submission.tags),
                {name: bound.data or bound.value for name, bound in submission.inputs.items()},
                studio=f"https://ml.azure.com/runs/{submission.name}",
            )
        )
        self._died("start_pipeline")

    # --- how it works ---

    def _place(self, asset_id: str) -> FakePipelineRegistry:
        return self._shared if asset_id.startswith(REGISTRY) else self.own

    def _take_on(self, kept: dict[str, T], key: str, content: T) -> None:
        if key in kept and kept[key] != content:
            raise BusyError(f"{key} already exists")
        kept[key] = content
        self._begin("asset", key)

    def _is_there(self, asset_id: str) -> bool:
        return self._is_ready(("asset", asset_id))

    @property
    def _shared(self) -> FakePipelineRegistry:
        raise NotImplementedError

    @property
    def _workspace(self) -> str:
        raise NotImplementedError

    def _submit(self, job: SubmittedJob) -> None:
        raise NotImplementedError
