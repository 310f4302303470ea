"""Runs the pipeline: one job whose steps are the registry's components, on this environment's compute and data.

Code from elsewhere gets access to this environment's data. So before it submits the job, this step reads everything in
the job again, and stops unless that was inspected and, if the stage or the environment requires it, approved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from shared.core.approval import DIGEST_LENGTH
from shared.core.messages import Failed, Outcome, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.ports import Bound, Capability, PipelineJob, PipelineSubmission, SubmittedJob, same_asset
from shared.worker import jobs, rerunning
from shared.worker.order import Step
from shared.worker.pipeline_content import digest_of
from shared.worker.pipeline_inputs import Given
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_review import RunManifest
from shared.worker.steps import inspect, register_components
from shared.worker.steps.inspect import still_as_inspected
from shared.worker.target import PROMOTION, ROUTE, STAGE

#: Tags that say where a job came from.
PIPELINE = "mlpromote.pipeline"
SOURCE_JOB = "mlpromote.source_job"
COMMIT = "mlpromote.commit"

#: Azure ML takes values of 1,000 characters; these are shorter.
_LONGEST_TAG = 256


@dataclass(frozen=True)
class Ran:
    """The run and its inputs."""

    job: str
    pipeline: str  #: digest of what ran
    inputs: Mapping[str, Given] = field(default_factory=dict)
    studio: str = ""  #: address of its page in Azure ML studio


def run(order: PipelineOrder) -> Outcome:
    job = jobs.followed(order, partial(_start, order), partial(_not_ours, order))
    if isinstance(job, SubmittedJob):
        manifest = order.seen(inspect.STEP).manifest
        return Succeeded(as_evidence(Ran(job.name, manifest.pipeline, manifest.inputs, job.studio)))
    return _with_its_step(order, job) if isinstance(job, Failed) else job


def _start(order: PipelineOrder, name: str) -> SubmittedJob | Failed:
    found = still_as_inspected(order)
    if isinstance(found, Failed):
        return found
    refusal = rerunning.unapproved(order, found)
    if refusal:
        return refusal
    order.workspace.start_pipeline(_submission(order, name, found.manifest))
    made = order.workspace.submitted_job(name)
    return made or SubmittedJob(name, "", "NotStarted")


def _submission(order: PipelineOrder, name: str, manifest: RunManifest) -> PipelineSubmission:
    seen, command = order.seen(register_components.STEP), order.command
    origin = f"as {seen.definition} defines it" if seen.definition else f"as it ran in job {command.candidate.version}"
    bare = PipelineSubmission(
        name=name,
        experiment=order.settings.experiment,
        nodes=manifest.nodes,
        inputs={key: given.bound for key, given in manifest.inputs.items()},
        outputs=seen.graph.outputs,
        compute=manifest.compute,
        identity=manifest.identity,
        description=f"{command.candidate.name} for {command.stage}, {origin}",
    )
    tags = {
        ROUTE: command.lane.route,
        PROMOTION: command.promotion,
        STAGE: command.stage,
        PIPELINE: manifest.pipeline,
        SOURCE_JOB: command.candidate.version,
        COMMIT: seen.job.git.get("commit", ""),
        jobs.DIGEST: digest_of(as_evidence(bare))[:DIGEST_LENGTH],
    }
    return replace(bare, tags={key: value[:_LONGEST_TAG] for key, value in tags.items() if value})


def _not_ours(order: PipelineOrder, job: SubmittedJob) -> str:
    """Return why the job with this name is not the one that would be submitted, judged by its submitter, tags and
    content. Its content alone is not enough: what Azure ML returns of a job does not show all that it runs with."""
    workspace = order.workspace
    if workspace.job_creator(job.name) != workspace.own_id():
        return f"it was not submitted by the identity of {order.command.environment}"
    seen = order.seen(inspect.STEP)
    wanted = _submission(order, job.name, seen.manifest)
    if job.tags.get(PROMOTION) != order.command.promotion or job.tags.get(jobs.DIGEST) != wanted.tags[jobs.DIGEST]:
        return "it belongs to another promotion, or has other content"
    there = workspace.pipeline_job(job.name)
    return "it is not a pipeline job" if there is None else ", ".join(_differences(there, wanted))


def _differences(there: PipelineJob, wanted: PipelineSubmission) -> list[str]:
    found = []
    if there.nodes.keys() != wanted.nodes.keys():
        found.append("it has other steps")
    for name, node in sorted(wanted.nodes.items()):
        given = there.nodes.get(name)
        if given is not None and not same_asset(given.component, node.component):
            found.append(f"its step {name} runs {given.component}")
        if given is not None and _bindings(given.inputs) != _bindings(node.inputs):
            found.append(f"its step {name} has other inputs")
    if _bindings(there.inputs) != _bindings(wanted.inputs):
        found.append("it has other inputs")
    return found


def _bindings(bound: Mapping[str, Bound]) -> dict[str, str]:
    """Azure does not keep the case of ids."""
    return {name: each.data.casefold() or each.value for name, each in bound.items()}


def _with_its_step(order: PipelineOrder, failed: Failed) -> Failed:
    """Add why a step of the pipeline failed, which the pipeline job does not say."""
    job = order.workspace.submitted_job(jobs.name_of(order.command))
    if job is None or job.status != "Failed":
        return failed
    children = [child for child in order.workspace.child_jobs(job.name) if child.status == "Failed"]
    if not children:
        return failed
    cause = jobs.failed(order.workspace, replace(job, name=children[0].name))
    return replace(cause, reason=f"Step {children[0].node} of job {job.name} failed: {cause.reason}")


STEP = Step("run", run, Ran, PipelineOrder, Capability.RUN)
