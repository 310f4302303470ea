"""Makes the previous champion of the stage the champion again. Undoes `register_model`.

Changes nothing in Azure ML: the model version stays for those who use it, and its own promotion can be rolled back.
"""

from dataclasses import dataclass

from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.worker import registering
from shared.worker.order import Step
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.steps import run as run_step


@dataclass(frozen=True)
class Withdrawn:
    """The model version that the run registered and that stays; empty if there is none."""

    model: str = ""
    version: str = ""


def run(order: PipelineOrder) -> Outcome:
    asked, ran = order.stage.register_as, order.if_seen(run_step.STEP)
    made = registering.already(order.workspace, asked.model, ran.job) if asked and ran else None
    return Succeeded(as_evidence(Withdrawn(made.name, made.version) if made else Withdrawn()))


STEP = Step("withdraw", run, Withdrawn, PipelineOrder)
