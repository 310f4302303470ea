"""Environment assets that deployment files name: one of the source's workspace comes along with the model.

The source's worker shares it to the registry. Each stage's worker reads it there again, and deploys exactly that. What
is described inline, is in a registry, or is not in the source's workspace stays as the file says.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from shared.core.messages import Failed, FailureKind, Running
from shared.ports import DeploymentFile, EndpointKind
from shared.worker.pipeline_content import environment_digest
from shared.worker.pipeline_environments import Pending, from_workspace, is_curated
from shared.worker.polls import asks_again, poll_again
from shared.worker.target import Target


@dataclass(frozen=True)
class SharedEnvironment:
    """A copy in the registry."""

    asset_id: str
    digest: str  #: of its content


@dataclass(frozen=True)
class Shared:
    """What the files name, by the references in them."""

    copied: Mapping[str, SharedEnvironment]  #: of this workspace
    not_here: tuple[str, ...]  #: of none that this workspace has


@dataclass(frozen=True)
class PinnedEnvironment:
    """What a deployment uses in place of the reference in its file; both empty if it uses that."""

    asset_id: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Copying:
    """State for the next poll: the registry was asked to copy these, by their references."""

    environments: tuple[str, ...] = ()


def share(target: Target, files: Iterable[str], batch_files: Iterable[str] = ()) -> Shared | Running | Failed:
    """Share what the files (relative to the configuration's folder) name of this workspace, by the reference in them.
    `files` are of online deployments, `batch_files` of batch deployments. A label such as `@latest` means the version
    that it names now."""
    asked, copying = (target.state(Copying) or Copying()).environments, list[str]()
    found, not_here = dict[str, SharedEnvironment](), list[str]()
    says = ""
    named = {EndpointKind.ONLINE: files, EndpointKind.BATCH: batch_files}
    for reference in _named(target, named):
        asset = target.workspace.environment_named(reference)
        if asset is None:
            not_here.append(reference)
            continue
        used = from_workspace(target, asset, start=reference not in asked or asks_again(target.command))
        if isinstance(used, Failed):
            return used
        if isinstance(used, Pending):
            copying, says = [*copying, reference], says or used.says
        else:
            found[reference] = SharedEnvironment(used.asset_id, used.digest)
    return poll_again(target.command, says, Copying(tuple(copying))) if copying else Shared(found, tuple(not_here))


def _named(target: Target, files: Mapping[EndpointKind, Iterable[str]]) -> Iterable[str]:
    """The references in the files to environments that not every workspace has, each once."""
    named = [
        target.workspace.with_endpoints(kind).deployment_file(target.folder / name).environment
        for kind, names in files.items()
        for name in names
    ]
    return [reference for reference in dict.fromkeys(named) if _is_of_one_workspace(reference)]


def _is_of_one_workspace(reference: str) -> bool:
    """Whether it names an environment asset, of those that not every workspace has."""
    return bool(reference) and not is_curated(reference)


def pinned(
    target: Target,
    described: DeploymentFile,
    shared: Mapping[str, SharedEnvironment],
    not_here: Collection[str] | None = None,
) -> PinnedEnvironment | Failed:
    """The registry's copy of what the file names, as this environment's own identity reads it. `not_here`: what the
    source's worker looked for and does not have; None if that is not known."""
    copy = shared.get(described.environment)
    if copy is None:
        is_known = not_here is None or described.environment in not_here
        if is_known or not target.uses_registry or not _is_of_one_workspace(described.environment):
            return PinnedEnvironment()
        return Failed(
            f"{target.stage.deployment} names the environment asset {described.environment}, which it did not name "
            f"when the model was shared. So nobody has looked for it in {target.command.candidate.environment}. Retry "
            "with `--from-step share`, or start a new promotion if a stage before "
            f"{target.command.stage} has succeeded.",
            FailureKind.CHANGED,
        )
    environment = target.command.environment
    found = target.workspace.environment_asset(copy.asset_id)
    if found is None:
        return Failed(
            f"{environment} cannot find {copy.asset_id}, which its deployment file names as {described.environment}. "
            "Give its identity a role that can read the registry. If it was deleted, promote the model again.",
            FailureKind.NOT_FOUND,
        )
    digest = environment_digest(found)
    if digest != copy.digest:
        return Failed(
            f"{copy.asset_id} is not what was shared: its content has changed. Register the environment under a new "
            "version, and promote the model again.",
            FailureKind.CONFLICT,
        )
    return PinnedEnvironment(copy.asset_id, digest)
