"""What is known of a pipeline's run before its promotion starts: its compute, its data, its gates."""

from collections.abc import Iterator
from typing import Any

from shared.config.pipeline_stage import PipelineTask
from shared.core.messages import Kind
from shared.core.promotion import Promotion, StageRun
from shared.worker.steps import compare


def planned_run(planned: Promotion, stage: StageRun) -> dict[str, Any] | None:
    """How the pipeline would run in the stage, and what it would register; None of what is no pipeline."""
    if planned.candidate.kind is not Kind.PIPELINE:
        return None
    settings = PipelineTask.parse(stage.settings).stage
    registers = settings.register_as
    return {
        "compute": settings.run.compute,
        "inputs": settings.run.inputs,
        "registers": {"output": registers.output, "model": registers.model} if registers else None,
    }


def planned_gates(stage: StageRun) -> Iterator[dict[str, Any]]:
    """Yield the gates of a pipeline's stage. The run measures anew, so no figure is known."""
    for gate in PipelineTask.parse(stage.settings).stage.gates:
        written = gate.model_dump(mode="json", exclude_none=True, exclude={"metric"})
        known = {"measured": True, "candidate": None, "champion": None}
        yield {"step": compare.STEP.name, "metric": gate.metric, "settings": written, **known}
