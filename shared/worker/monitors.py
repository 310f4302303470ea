"""Points a stage's monitor at the deployment that serves. A monitor watches one deployment by name, and would watch an
empty or deleted one after each promotion."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from shared.config.azure_names import MODEL as NAME_OF_MODEL
from shared.core.messages import Failed, FailureKind, Running, Succeeded, as_evidence
from shared.ports import DeploymentFile, Monitor, MonitorFile, RejectedError
from shared.worker.polls import asks_again, poll_again
from shared.worker.target import MODEL, READY, ROUTE, SETTLED, STAGE, Target

#: Tag on every monitor that we create: digest of the file that it was made from.
_FILE = "mlpromote.file"
_DIGEST_LENGTH = 16
#: What a deployment must collect: azure-ai-ml refuses a monitor otherwise, even one with signals of its own.
_COLLECTED = frozenset({"model_inputs", "model_outputs"})


@dataclass(frozen=True)
class Watched:
    """The monitor, and the deployment that it watches."""

    monitor: str
    deployment: str


def requested(target: Target, described: DeploymentFile) -> MonitorFile | None:
    """The stage's monitor; None if it has none. Raises `RejectedError` if it could not watch the deployment."""
    path = target.monitor_file
    if path is None:
        return None
    file, missing = target.workspace.monitor_file(path), sorted(_COLLECTED - described.collects)
    if missing:
        raise RejectedError(
            f"{file.file.name} cannot watch the deployment: {target.stage.deployment} does not collect "
            f"{' and '.join(missing)}. Add them to its `data_collector`, or remove `monitor` from the stage."
        )
    return file


def name_of(target: Target, file: MonitorFile) -> str:
    """The monitor's name, which is the workspace's own word for it, unless the file has a place for the model's."""
    return file.name.replace(NAME_OF_MODEL, target.command.candidate.name)


def watch(target: Target, deployment: str) -> Succeeded | Running | Failed:
    """Poll once on the way to a monitor that watches the deployment as the file says. Evidence: `Watched`."""
    path, workspace = target.monitor_file, target.workspace
    if path is None:
        return Succeeded()
    file = workspace.monitor_file(path)
    name, wanted = name_of(target, file), f"{target.endpoint}/{deployment}"
    tags = {
        ROUTE: target.command.lane.route,
        STAGE: target.command.stage,
        MODEL: target.command.candidate.name,
        _FILE: sha256(path.read_bytes()).hexdigest()[:_DIGEST_LENGTH],
    }
    found = workspace.monitor(name)
    says = f"monitor {name} is being pointed at deployment {deployment}"
    if found is not None and (conflict := _conflict(target, found, file, tags)) is not None:
        return conflict
    if found is not None and found.state not in SETTLED:
        return poll_again(target.command, says)
    is_right = found is not None and found.is_enabled and found.tags.get(_FILE) == tags[_FILE]
    if found is not None and is_right and found.state == READY and found.deployment.casefold() == wanted.casefold():
        return Succeeded(as_evidence(Watched(name, deployment)))
    if not asks_again(target.command):
        return poll_again(target.command, says)
    workspace.start_monitor(path, name, target.endpoint, deployment, tags)
    return poll_again(target.command, says)


def _conflict(target: Target, found: Monitor, file: MonitorFile, tags: Mapping[str, str]) -> Failed | None:
    """The failure for a monitor of somebody else, or of another model; None if it is ours. Monitors that an earlier
    version has made do not say whose model they watch."""
    lane, stage = target.command.lane, target.command.stage
    if any(found.tags.get(tag) != tags[tag] for tag in (ROUTE, STAGE)):
        return Failed(
            f"Monitor {found.name} was not made for stage {stage} of route {lane.route}, so it was left alone. Choose "
            f"another `name` in {file.file.name}, or give it the tags {ROUTE}={tags[ROUTE]} and {STAGE}={tags[STAGE]}.",
            FailureKind.CONFLICT,
        )
    if found.tags.get(MODEL, tags[MODEL]) != tags[MODEL]:
        return Failed(
            f"Monitor {found.name} watches model {found.tags[MODEL]} of the same stage, so it was left alone. Add "
            f"{NAME_OF_MODEL} to the `name` in {file.file.name}: each model needs a monitor of its own.",
            FailureKind.CONFLICT,
        )
    return None
