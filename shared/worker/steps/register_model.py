"""Registers an output of the run as the next version of a model in this workspace, once per run, with its lineage.

From this step on the candidate is the stage's champion, even if the stage registers nothing.
"""

from dataclasses import dataclass

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Capability, JobOutput
from shared.worker import registering
from shared.worker.order import Step
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.steps import compare, register_components
from shared.worker.steps import run as run_step
from shared.worker.steps.run import COMMIT, PIPELINE, SOURCE_JOB
from shared.worker.target import PROMOTION

#: Prefix of the properties that name a data version.
DATA = "mlpromote.data"

_LONGEST_VALUE = 256
_MOST_DATA = 20


@dataclass(frozen=True)
class RegisteredModel:
    """The model version that the output became; empty if nothing is registered."""

    model: str = ""
    version: str = ""
    asset: str = ""
    job: str = ""  #: the run that made it


def run(order: PipelineOrder) -> Outcome:
    asked, ran = order.stage.register_as, order.seen(run_step.STEP)
    order.seen(compare.STEP)
    if asked is None:
        return Succeeded(as_evidence(RegisteredModel(job=ran.job)))
    workspace = order.workspace
    made = registering.already(workspace, asked.model, ran.job)
    if made is None:
        job = workspace.job(ran.job)
        if job is None:
            return Failed(f"There is no job {ran.job} in {order.command.environment} any more.", FailureKind.NOT_FOUND)
        refusal = registering.without_output(job, asked.output, "Correct `register` of the stage, or the pipeline")
        if refusal:
            return refusal
        tags = {**asked.tags, PROMOTION: order.command.promotion}
        made = registering.register(workspace, asked.model, JobOutput(job, asked.output), tags, _back(order))
    return Succeeded(as_evidence(RegisteredModel(made.name, made.version, made.asset_id, ran.job)))


def _back(order: PipelineOrder) -> dict[str, str]:
    """Return the properties that say where the model came from. Nobody can change them later."""
    ran, seen = order.seen(run_step.STEP), order.seen(register_components.STEP)
    data = {f"{DATA}.{name}": given.words for name, given in ran.inputs.items() if given.data}
    back = {
        PROMOTION: order.command.promotion,
        PIPELINE: ran.pipeline,
        "mlpromote.run": ran.job,
        SOURCE_JOB: order.command.candidate.version,
        COMMIT: seen.job.git.get("commit", ""),
        **dict(list(data.items())[:_MOST_DATA]),
    }
    return {name: value[:_LONGEST_VALUE] for name, value in back.items() if value}


STEP = Step("register_model", run, RegisteredModel, PipelineOrder, Capability.REGISTER)
