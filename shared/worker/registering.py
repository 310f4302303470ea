"""Registers a job's output as the next version of a model, once per job, whoever asks for it."""

from collections.abc import Mapping

from shared.core.messages import Failed, FailureKind
from shared.ports import Job, JobOutput, Model, Workspace

#: Tag of a model that we registered: the job that it came from.
JOB = "mlpromote.job"

#: Of a version that the next one counts on from.
MOST_DIGITS = 18


def already(workspace: Workspace, name: str, job: str) -> Model | None:
    """The version of the model that the job's output has become."""
    return next((each for each in workspace.model_versions(name) if job in (each.job, each.tags.get(JOB))), None)


def without_output(job: Job, output: str, todo: str) -> Failed | None:
    """Why nothing can be registered, if the job has no such output."""
    if output in job.outputs:
        return None
    there = ", ".join(sorted(job.outputs)) or "none"
    return Failed(f"Job {job.name} has no output {output}. Its outputs: {there}. {todo}.", FailureKind.BAD_CONFIG)


def register(
    workspace: Workspace, name: str, output: JobOutput, tags: Mapping[str, str], properties: Mapping[str, str]
) -> Model:
    """The next version of the model. Raises `BusyError` where somebody else has just taken its number."""
    versions = [each.version for each in workspace.model_versions(name)]
    version = str(max((int(each) for each in versions if _counts(each)), default=0) + 1)
    return workspace.register_output(name, version, output, {**tags, JOB: output.job.name}, properties)


def _counts(version: str) -> bool:
    """Not what somebody has typed in, of many digits, after which nobody can count on."""
    return version.isdecimal() and len(version) <= MOST_DIGITS
