"""Reads a pipeline's graph, components, code and environments from what a job ran, or from files in git."""

from collections.abc import Mapping
from typing import Protocol

from shared.ports import Component, EnvironmentAsset, PipelineDefinition, PipelineJob, Workspace
from shared.worker.pipeline_order import PipelineOrder


class Source(Protocol):
    """A pipeline to promote. Each getter takes an id and returns None for what does not exist."""

    @property
    def graph(self) -> PipelineJob: ...
    def component(self, key: str) -> Component | None: ...
    def environment(self, key: str) -> EnvironmentAsset | None: ...
    def code(self, key: str) -> Mapping[str, bytes] | None: ...
    def is_fixed(self, key: str) -> bool:
        """Return whether the asset with this id can never change."""


class FromJob:
    """What a finished job ran, in its workspace."""

    def __init__(self, workspace: Workspace, job: PipelineJob) -> None:
        self._workspace = workspace
        self.graph = job

    def component(self, key: str) -> Component | None:
        return self._workspace.component(key)

    def environment(self, key: str) -> EnvironmentAsset | None:
        return self._workspace.environment_asset(key)

    def code(self, key: str) -> Mapping[str, bytes] | None:
        return self._workspace.code_files(key)

    def is_fixed(self, key: str) -> bool:
        return True


class FromDefinition(FromJob):
    """Files next to `promotion.yml`; assets that they name by id are in the workspace."""

    def __init__(self, workspace: Workspace, definition: PipelineDefinition) -> None:
        super().__init__(workspace, definition.job)
        self._definition = definition

    def component(self, key: str) -> Component | None:
        return self._definition.components.get(key) or super().component(key)

    def environment(self, key: str) -> EnvironmentAsset | None:
        return self._definition.environments.get(key) or super().environment(key)

    def code(self, key: str) -> Mapping[str, bytes] | None:
        files = self._definition.codes.get(key)
        return files if files is not None else super().code(key)

    def is_fixed(self, key: str) -> bool:
        return key not in self._definition.codes


def source_of(order: PipelineOrder, job: PipelineJob) -> Source:
    """Raises `RejectedError` for a definition that cannot be used."""
    definition = order.settings.definition
    if definition is None:
        return FromJob(order.workspace, job)
    return FromDefinition(order.workspace, order.workspace.pipeline_definition(order.folder / definition))
