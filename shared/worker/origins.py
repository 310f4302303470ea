"""Finds where models came from that were registered directly in the registry.

A registry has no jobs. The model may name a job, or the workspace's model that it was copied from. The only way to
learn whether a workspace has that job is to look there, if this environment's identity may read it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.core.approval import Author
from shared.ports import ForbiddenError, Job, Model, RejectedError, Workspace, same_asset

#: Tag of a model that this app registered from a job's output.
JOB = "mlpromote.job"

_OUTPUT_OF_JOB = re.compile(r"/jobs/([^/]+)/outputs/")

#: For who registered a model, a registry gives only a display name.
_UNKNOWN = Author("", "unknown", is_person=False)


@dataclass(frozen=True)
class Origin:
    """The job behind a registry's model, and the workspace that has the job."""

    workspace: Workspace
    job: Job


def find(workspaces: Iterable[Workspace], model: Model) -> Origin | None:
    """Search these workspaces in order, skipping those that may not be read."""
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
    """Return the job that the registry's model itself names."""
    return _job_of(model)


def registry_authors(workspaces: Iterable[Workspace], model: Model) -> Sequence[Author]:
    """Return who ran the job, if it is found, and an unknown author for whoever registered the model."""
    found = find(workspaces, model)
    if found is None:
        return (_UNKNOWN,)
    of_job = found.workspace.authors(replace(model, job=found.job.name))[:1]
    return (*of_job, _UNKNOWN)


def _job_of(model: Model) -> str | None:
    in_path = _OUTPUT_OF_JOB.search(model.path or "")
    return model.job or model.tags.get(JOB) or (in_path[1] if in_path else None)


def _job_of_original(workspace: Workspace, model: Model) -> str | None:
    """Return the job of the workspace's model that was copied, which has the same name and version."""
    if model.origin is None:
        return None
    original = workspace.model(model.name, model.version)
    return _job_of(original) if original is not None and same_asset(original.asset_id, model.origin) else None
