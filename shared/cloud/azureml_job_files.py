"""Job files: Azure ML's YAML of a command job, with the submission's name, inputs and tags added."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_uploads import is_remote, local_files
from shared.cloud.azureml_yaml import environment_files, mapping, usable
from shared.ports import JobFile, JobSubmission, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import Command

_SERVERLESS = "serverless"
#: For the SDK this means the machine that submits the job.
_LOCAL = "local"


def described(file: Path) -> JobFile:
    """Return what the file requests, and its local files. Raises `RejectedError` for an unusable file."""
    content = mapping(file, "command job", "job")
    inputs = content.get("inputs")
    job = load(file, None)
    resources: Any = job.resources
    compute = str(job.compute or "").rsplit("/", 1)[-1].removeprefix("azureml:")
    environment = job.environment if isinstance(job.environment, str) else ""
    files = dict.fromkeys(each.resolve() for each in (file, *_of_code(file, job), *environment_files(file, content)))
    return JobFile(
        files=tuple(files),
        inputs=tuple(map(str, inputs)) if isinstance(inputs, dict) else (),
        compute="" if compute.lower() == _SERVERLESS else compute,
        environment=environment,
        instance_type=getattr(resources, "instance_type", None),
        instances=getattr(resources, "instance_count", None),
        experiment=str(content.get("experiment_name") or ""),
    )


def load(file: Path, submission: JobSubmission | None) -> "Command":
    """Return the job to submit; without a submission, it has no inputs. Raises `RejectedError` like `described`."""
    with importing():
        from azure.ai.ml import load_job
        from azure.ai.ml.entities import Command

    content = _completed(mapping(file, "command job", "job"), submission)
    with usable(file, "job"):
        job: Any = load_job(StringIO(yaml.safe_dump(content)), relative_origin=str(file.resolve()))
    if not isinstance(job, Command):
        raise RejectedError(f"The job file {file.name} does not describe a command job.")
    if str(job.compute or "").lower() == _LOCAL:
        raise RejectedError(f"The job file {file.name} names compute local, which would run the job in this app.")
    code = str(job.code or "")
    if "://" in code and not code.startswith("azureml://"):  # its content may change later
        raise RejectedError(f"The job file {file.name} names {code} as code. Use a folder next to it, or a code asset.")
    return job


def _completed(content: dict[str, Any], submission: JobSubmission | None) -> dict[str, Any]:
    if submission is None:
        return {key: value for key, value in content.items() if key != "inputs"}
    declared = content.get("inputs")
    inputs: dict[str, Any] = dict(declared) if isinstance(declared, dict) else {}
    for name, bound in submission.inputs.items():
        asked = inputs.get(name)
        kind = bound.type or (asked.get("type") if isinstance(asked, dict) else None)
        path = bound.asset_id if "://" in bound.asset_id else f"azureml:{bound.asset_id}"
        inputs[name] = {**(asked if isinstance(asked, dict) else {}), **({"type": kind} if kind else {}), "path": path}
        inputs[name].pop("optional", None)
    tags = content.get("tags")
    return {
        **content,
        "name": submission.name,
        "inputs": {name: value for name, value in inputs.items() if name not in submission.left_out},
        "tags": {**(tags if isinstance(tags, dict) else {}), **submission.tags},
        "experiment_name": content.get("experiment_name") or submission.experiment or "Default",
    }


def _of_code(file: Path, job: "Command") -> Iterator[Path]:
    code = str(job.code or "")
    if code and not is_remote(code):
        yield from local_files(file, file.parent / code)
