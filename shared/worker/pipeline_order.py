"""The order of a step that promotes a pipeline."""

from shared.config.pipeline_stage import PipelineStage, PipelineTask
from shared.worker.order import Order


class PipelineOrder(Order[PipelineTask]):
    """One poll of a step of a pipeline's promotion."""

    parses = PipelineTask

    @property
    def registry(self) -> str:
        """The registry's name."""
        return self.workspace.registry_id("components", "any", "1").split("/")[3]

    @property
    def stage(self) -> PipelineStage:
        return self.settings.stage


def is_in(registry: str, asset: str) -> bool:
    """Whether an id is that of an asset in the registry of this name."""
    return asset.casefold().startswith(f"azureml://registries/{registry}/".casefold())
