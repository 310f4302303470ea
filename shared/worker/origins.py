"""Models that were registered in the registry directly: where they came from, as far as that can still be found.

A registry knows no jobs. The model may name one, or the workspace's model that it is a copy of; whether the workspace
is one that this environment's identity may read, only a look there tells.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.core.approval import Author
from shared.ports import ForbiddenError, Job, Model, RejectedError, Workspace, same_asset

#: Tag of a model that this app registered from a job's output.
JOB = "mlpromote.job"

_OUTPUT_OF_JOB = re.compile(r"/jobs/([^/]+)/outputs/")

#: A registry does not tell who registered a model, but for a display name.
_UNKNOWN = Author("", "unknown", is_person=False)


@dataclass(frozen=True)
class Origin:
    """The job of a registry's model, and the workspace that knows it."""

    workspace: Workspace
    job: Job


def find(workspaces: Iterable[Workspace], model: Model) -> Origin | None:
    """Looks into these workspaces, in their order; one that may not be read is passed over."""
    for workspace in workspaces:
        try:
            name = _job_of(model) or _job_of_original(workspace, model)
            job = workspace.job(name) if name else None
        except (ForbiddenError, RejectedError):
            continue
        if job is not None:
            return Origin(workspace, job)
    return None


def job_named(model: Model) -> str | None:
    """The job that the registry's model names itself."""
    return _job_of(model)


def registry_authors(workspaces: Iterable[Workspace], model: Model) -> Sequence[Author]:
    """Who ran the job, where it is found; and somebody unknown, who registered the model."""
    found = find(workspaces, model)
    if found is None:
        return (_UNKNOWN,)
    of_job = found.workspace.authors(replace(model, job=found.job.name))[:1]
    return (*of_job, _UNKNOWN)


def _job_of(model: Model) -> str | None:
    in_path = _OUTPUT_OF_JOB.search(model.path or "")
    return model.job or model.tags.get(JOB) or (in_path[1] if in_path else None)


def _job_of_original(workspace: Workspace, model: Model) -> str | None:
    """Of the workspace's model that the registry's is a copy of, under the same name and version."""
    if model.origin is None:
        return None
    original = workspace.model(model.name, model.version)
    return _job_of(original) if original is not None and same_asset(original.asset_id, model.origin) else None
