"""Measures the candidate and the champion on this environment's data, with one job and one version of the data.

The job only measures; the gates decide. docs/evaluate.md describes its inputs and metrics.
"""

from dataclasses import replace
from functools import partial

from shared.config.evaluation import MODEL
from shared.config.gate import Gate
from shared.core.job_statuses import COMPLETED
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Capability, SubmittedJob
from shared.worker import evaluation, gates, jobs
from shared.worker.evaluation import Evaluated
from shared.worker.manifest import model_to_deploy
from shared.worker.order import Step
from shared.worker.steps.validate import still_as_validated
from shared.worker.target import Target


def run(target: Target) -> Outcome:
    evaluation.settings(target)
    job = jobs.followed(target, partial(_start, target), partial(evaluation.not_ours, target))
    if not isinstance(job, SubmittedJob):
        return job
    found = still_as_validated(target)
    if isinstance(found, Failed):
        return found
    evaluated = _judged(target, job)
    if isinstance(evaluated, Failed):
        return evaluated
    asked = evaluation.approved_digest(found.manifest.digest, evaluated)
    return Succeeded(as_evidence(replace(evaluated, approves=asked)))


def _start(target: Target, name: str) -> SubmittedJob | Failed:
    found = still_as_validated(target)
    if isinstance(found, Failed):
        return found
    return evaluation.obstacle(target) or evaluation.start(target, name)


def passed(target: Target) -> Evaluated | Failed | None:
    """Return what this promotion's job measured, read now, or why nothing may be deployed. None without evaluation."""
    if target.stage.evaluate is None:
        return None
    name = jobs.name_of(target.command, STEP.name)
    job = target.workspace.submitted_job(name)
    if job is None or job.status != COMPLETED:
        status = f"is {job.status}" if job else "does not exist"
        return Failed(
            f"{target.command.environment} deploys only what job {name} has evaluated, but that job {status}. "
            "Nothing was deployed. Retry to evaluate it.",
            FailureKind.PERMISSION,
        )
    return _judged(target, job)


def _judged(target: Target, job: SubmittedJob) -> Evaluated | Failed:
    why = evaluation.not_ours(target, job)
    if why:
        return Failed(
            f"Job {job.name} is not the evaluation that this worker would submit: {why}. Nothing was deployed. Find "
            "out who submitted or changed it, and start a new promotion.",
            FailureKind.CONFLICT,
        )
    evaluated = evaluation.read(target, job, _gates(target))
    what = f"{target.command.stage} by its evaluation, job {evaluated.job}"
    return gates.refusal(what, evaluated.gates, evaluated) or evaluated


def _gates(target: Target) -> tuple[Gate, ...]:
    """Return the gates of the stage and of the environment."""
    policy = target.rules.policy.evaluation
    return (*evaluation.settings(target).gates, *(policy.gates if policy else ()))


def passed_then(target: Target) -> Failed | None:
    """Return why the previous model may not be restored if the environment requires an evaluation: its job must have
    passed the environment's own gates. The job's code may have been fixed since."""
    policy, seen = target.rules.policy.evaluation, target.if_seen(STEP)
    if policy is None:
        return None
    job = target.workspace.submitted_job(seen.job) if seen is not None else None
    why = "it was never evaluated here" if job is None else _not_then(target, job)
    if job is not None and not why:
        found = evaluation.judged_by(target, job, policy.gates)
        why = "; ".join(f"{each.gate}: {each.seen}" for each in found if not each.holds)
    if not why:
        return None
    return Failed(
        f"{target.command.candidate.name}, version {target.command.candidate.version}, cannot be restored in "
        f"{target.command.stage}, where nothing is deployed without an evaluation: {why}. Promote it again.",
        FailureKind.PERMISSION,
    )


def _not_then(target: Target, job: SubmittedJob) -> str:
    copy = model_to_deploy(target)
    if isinstance(copy, Failed):
        return copy.reason
    if job.status != COMPLETED:
        return f"job {job.name} is {job.status}"
    if target.workspace.job_creator(job.name) != target.workspace.own_id():
        return f"job {job.name} was not submitted by the identity of {target.command.environment}"
    if not jobs.is_name_of(job.name, target.command, STEP.name):
        return f"job {job.name} belongs to another promotion"
    if not evaluation.is_same_model(job.inputs.get(MODEL, ""), copy.asset_id):
        return f"job {job.name} evaluated {job.inputs.get(MODEL) or 'nothing'}"
    return ""


STEP = Step("evaluate", run, Evaluated, Target, Capability.RUN)
