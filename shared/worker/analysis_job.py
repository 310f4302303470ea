"""A job that compares how candidate and champion answered during a step of a rollout: run as an evaluation is."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.config.analysis import JobAnalysis
from shared.config.rollout import Rollout
from shared.core.job_statuses import CANCELLING, ENDED
from shared.core.messages import Failed, FailureKind, Kind, Running
from shared.core.plan import KINDS, entry_name
from shared.core.replacing import replace
from shared.ports import ForbiddenError, RejectedError, SubmittedJob
from shared.worker import evaluation, jobs
from shared.worker.evaluation import Evaluated
from shared.worker.target import Target


def analysis_file(target: Target) -> Path | None:
    """The file of the job, if the stage's rollout has one."""
    asked = _asked(target)
    return target.folder / asked.job if asked is not None else None


def obstacle(target: Target) -> Failed | None:
    """Return what would stop the job because of its file. Its data is collected only later."""
    asked = _asked(target)
    return evaluation.obstacle_of_file(_evaluating(target, asked, "champion", {})) if asked is not None else None


def evaluated(
    target: Target, asked: JobAnalysis, champion: str, begun: str, changed: Callable[[], Failed | None]
) -> Evaluated | Running | Failed:
    """Return what the step's job measured, once it has completed. `champion`: name of its deployment. `begun`: the
    job's name, if the last poll found it under way. `changed`: why the job is not the one that was approved."""
    state = {"job": begun} if begun else {}
    evaluating = _evaluating(target, asked, champion, state)

    def start(name: str) -> SubmittedJob | Failed:
        return changed() or evaluation.start(evaluating, name)

    def not_ours(job: SubmittedJob) -> str:
        return evaluation.not_ours(evaluating, job)

    job = jobs.followed(evaluating, start, not_ours)
    if not isinstance(job, SubmittedJob):
        return job
    why = not_ours(job)
    if why:
        return Failed(
            f"Job {job.name} is not the one that this worker would submit: {why}. Find out who submitted or changed "
            "it, and start a new promotion.",
            FailureKind.CONFLICT,
        )
    return evaluation.read(evaluating, job, asked.gates)


def call_off(target: Target) -> str | None:
    """Cancel the jobs of steps that were turned back: nobody waits for them any more. Return why one was left, if one
    was; a rollback does not fail for it. Raises `UnavailableError`."""
    rollout = target.stage.rollout
    if rollout is None or rollout.job is None:
        return None
    try:
        for job in [job for step in _steps(rollout) for job in jobs.submitted_by(target, step)]:
            if job.status not in (*ENDED, CANCELLING):
                target.workspace.start_cancellation(job.name)
    except (ForbiddenError, RejectedError) as fault:
        return str(fault)
    return None


def _steps(rollout: Rollout) -> Iterator[str]:
    """The names of the steps that run such a job, in a plan with this rollout."""
    for step in KINDS[Kind.MODEL].plan:
        if step.repeats:
            yield from (entry_name(step.name, number + 1) for number in range(len(rollout.steps)))
        elif step.holds:
            yield step.name


def _asked(target: Target) -> JobAnalysis | None:
    rollout = target.stage.rollout
    return rollout.job if rollout is not None else None


def _evaluating(target: Target, asked: JobAnalysis, champion: str, state: Mapping[str, Any]) -> Target:
    """The target as an evaluation with this job sees it."""
    as_evaluation = asked.evaluation(target.endpoint, target.deployment, champion)
    stage = target.stage.model_copy(update={"evaluate": as_evaluation})
    return replace(
        target,
        settings=target.settings.model_copy(update={"stage": stage}),
        command=replace(target.command, state=state),
    )
