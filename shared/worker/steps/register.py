"""Registers a finished job's output as the next version of a model, once per job.

Runs in the environment that the job belongs to. What is registered starts a promotion by itself, as any registration.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Job, Model, RejectedError, Workspace
from shared.worker.gates import COMPLETED
from shared.worker.polls import poll_again

#: Tag of a model that we registered: the job that it came from.
JOB = "mlpromote.job"

#: Of a version that the next one counts on from.
MOST_DIGITS = 18

#: Azure ML's words for a job that has come to a bad end.
ENDED_BADLY = ("Failed", "Canceled", "NotResponding")


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    name, job_name = command.candidate.name, command.candidate.version
    versions = workspace.model_versions(name)
    made = next((each for each in versions if _is_from(each, job_name)), None)
    if made:
        return Succeeded(_evidence(made))
    job = workspace.job(job_name)
    if job is None:
        return Failed(f"There is no job {job_name} in {command.environment}: it was deleted.", FailureKind.NOT_FOUND)
    output, tags = _settings(command.settings)
    refusal = _refusal(job, output)
    if refusal:
        return refusal
    if job.status != COMPLETED:
        return poll_again(command, f"job {job.name}: {job.status}")
    version = str(max((int(each.version) for each in versions if _counts(each.version)), default=0) + 1)
    return Succeeded(_evidence(workspace.register_output(name, version, job, output, {**tags, JOB: job.name})))


def _counts(version: str) -> bool:
    """Not what somebody has typed in, of many digits, after which nobody can count on."""
    return version.isdecimal() and len(version) <= MOST_DIGITS


def _is_from(model: Model, job: str) -> bool:
    return job in (model.job, model.tags.get(JOB))


def _settings(settings: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    output, tags = settings.get("output"), settings.get("tags", {})
    if not isinstance(output, str) or not isinstance(tags, Mapping):
        raise RejectedError("The settings name no output to register: see `from_jobs` of the route.")
    return output, tags


def _refusal(job: Job, output: str) -> Failed | None:
    if job.parent:
        return Failed(
            f"Job {job.name} is a step of pipeline job {job.parent}; only whole jobs are registered from. Give the "
            "pipeline job the output, or register the model in the pipeline.",
            FailureKind.REFUSED,
        )
    if job.status in ENDED_BADLY:
        return Failed(f"Job {job.name} ended as {job.status}: nothing was registered.", FailureKind.REFUSED)
    if output not in job.outputs:
        there = ", ".join(sorted(job.outputs)) or "none at all"
        return Failed(
            f"Job {job.name} has no output {output}, only {there}. Correct `from_jobs` of the route, or the job.",
            FailureKind.BAD_CONFIG,
        )
    return None


def _evidence(model: Model) -> dict[str, Any]:
    return {"model": model.name, "version": model.version, "asset": model.asset_id}
