"""A route of training pipelines: which jobs start a promotion, and the stages where the pipeline runs again."""

from collections.abc import Mapping

from pydantic import Field, PrivateAttr, field_validator

from shared.config.fields import EnvironmentName, FilePath, Settings, Text
from shared.config.pipeline_stage import PipelineStage
from shared.config.shared_data import SHARED_DATA, SharedData
from shared.config.succession import one_after_the_other


class Pipelines(Settings):
    """The pipeline jobs that start a promotion of what they ran when they complete."""

    experiment: Text = Field(description="Experiment that the job belongs to.")
    tags: dict[Text, str] = Field(default={}, description="Tags that the job must have, with these values.")
    definition: FilePath | None = Field(
        default=None,
        description="Azure ML YAML of the pipeline. Its local components and code are promoted instead of what the job "
        "ran. Required for jobs created from a pipeline component. Default: promote what the job ran.",
    )

    def takes(self, experiment: str, tags: Mapping[str, str]) -> bool:
        """Return whether a job of this experiment with these tags matches."""
        return experiment == self.experiment and all(tags.get(tag) == value for tag, value in self.tags.items())


class PipelineRoute(Settings):
    """The environments that a training pipeline goes through. In each stage it runs on that environment's data."""

    source: EnvironmentName = Field(
        alias="from", description="Where the pipeline is developed: a key of `environments`."
    )
    pipelines: Pipelines = Field(description="The pipeline jobs whose completion starts a promotion.")
    share_data: SharedData = SHARED_DATA
    stages: tuple[PipelineStage, ...] = Field(min_length=1, description="The stages of the route, in order.")
    _name: str = PrivateAttr("")
    _bundle: str = PrivateAttr("")

    @field_validator("stages", mode="after")
    @classmethod
    def _one_after_the_other(cls, stages: tuple[PipelineStage, ...]) -> tuple[PipelineStage, ...]:
        return one_after_the_other(stages)

    @property
    def name(self) -> str:
        """The route's key in `routes`, which is also the name of the promoted pipeline."""
        return self._name

    @property
    def bundle(self) -> str:
        """Digest of the bundle that it is from; empty if it is from the app's own configuration."""
        return self._bundle

    @property
    def about(self) -> str:
        """What it promotes, in words."""
        return f"the pipeline of experiment {self.pipelines.experiment}"

    def takes(self, name: str) -> bool:
        """Return whether a candidate of this name is promoted here."""
        return name == self._name
