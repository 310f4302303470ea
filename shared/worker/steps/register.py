"""Registers a finished job's output as the next version of a model, once per job.

Runs in the environment that the job belongs to. Like any registration, the new version starts a promotion
automatically.
"""

from dataclasses import dataclass

from shared.config.stage import JobStage
from shared.core.job_statuses import COMPLETED, ENDED_BADLY
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Capability, Job, JobOutput, Model
from shared.worker import registering
from shared.worker.missing import no_job
from shared.worker.order import Order, Step
from shared.worker.polls import poll_again


class JobOrder(Order[JobStage]):
    """The job whose output is to be registered, and its settings."""

    parses = JobStage


@dataclass(frozen=True)
class Registered:
    """The model version that the output was registered as."""

    model: str
    version: str
    asset: str


def run(order: JobOrder) -> Outcome:
    command, workspace = order.command, order.workspace
    name, job_name = command.candidate.name, command.candidate.version
    made = registering.already(workspace, name, job_name)
    if made:
        return Succeeded(as_evidence(_registered(made)))
    job = workspace.job(job_name)
    if job is None:
        return no_job(command.candidate)
    output, tags = order.settings.output, order.settings.tags
    refusal = _another_job(order.settings, job) or _refusal(job, output)
    if refusal:
        return refusal
    if job.status != COMPLETED:
        return poll_again(command, f"job {job.name}: {job.status}")
    made = registering.register(workspace, name, JobOutput(job, output), tags, {})
    return Succeeded(as_evidence(_registered(made)))


def _another_job(asked: JobStage, job: Job) -> Failed | None:
    """Why the route does not take this job; None if it does. An event names an experiment, but its sender could name
    any."""
    missing = [f"{name}={value}" for name, value in asked.job_tags.items() if job.tags.get(name) != value]
    if asked.experiment and job.experiment != asked.experiment:
        why = f"belongs to experiment {job.experiment}, but the route takes jobs of {asked.experiment}"
    elif missing:
        why = f"lacks the tag {', '.join(missing)}, which the route requires"
    else:
        return None
    return Failed(f"Job {job.name} {why}: nothing was registered.", FailureKind.REFUSED)


def _refusal(job: Job, output: str) -> Failed | None:
    if job.parent:
        return Failed(
            f"Job {job.name} is a step of pipeline job {job.parent}, and only whole jobs' outputs are registered. "
            "Give the pipeline job the output, or register the model in the pipeline.",
            FailureKind.REFUSED,
        )
    if job.status in ENDED_BADLY:
        return Failed(f"Job {job.name} ended as {job.status}: nothing was registered.", FailureKind.REFUSED)
    return registering.without_output(job, output, "Correct `from_jobs`, or the job")


def _registered(model: Model) -> Registered:
    return Registered(model.name, model.version, model.asset_id)


STEP = Step("register", run, Registered, JobOrder, Capability.REGISTER)
