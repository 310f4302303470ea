"""The failures of steps whose candidate is not where it should be: where it was looked for, and how to check."""

from shared.config.workspace import WorkspaceReference
from shared.core.asset_names import REGISTRIES, is_of_registry
from shared.core.messages import Candidate, Failed, FailureKind


def no_model(candidate: Candidate) -> Failed:
    place, options = _place(candidate)
    return Failed(
        f"There is no model {candidate.name}, version {candidate.version}, in {place}: it was deleted or never existed."
        f" `az ml model list --name {candidate.name} {options}` lists the versions that are there. Start one of these, "
        "or register the model there.",
        FailureKind.NOT_FOUND,
    )


def no_job(candidate: Candidate) -> Failed:
    """The candidate's version is the job's name."""
    place, options = _place(candidate)
    return Failed(
        f"There is no job {candidate.version} in {place}: it was deleted or never existed. "
        f"`az ml job list {options}` lists the jobs that are there.",
        FailureKind.NOT_FOUND,
    )


def _place(candidate: Candidate) -> tuple[str, str]:
    """Where the candidate comes from: in words, and as options of `az ml`."""
    searched = candidate.workspace
    if is_of_registry(searched):
        registry = searched[len(REGISTRIES) :].strip("/")
        return f"the registry {registry}", f"--registry-name {registry}"
    workspace = WorkspaceReference.parse(searched)
    options = f"--workspace-name {workspace.name} --resource-group {workspace.resource_group}"
    return f"{candidate.environment}, workspace {workspace.name}", options
