"""Points a stage's monitor at the deployment that serves. A monitor watches one deployment by name, and would watch an
empty or deleted one after each promotion."""

from dataclasses import dataclass
from hashlib import sha256

from shared.core.messages import Failed, FailureKind, Running, Succeeded, as_evidence
from shared.ports import DeploymentFile, MonitorFile, RejectedError
from shared.worker.polls import asks_again, poll_again
from shared.worker.target import READY, ROUTE, SETTLED, STAGE, Target

#: Tag on every monitor that we create: digest of the file that it was made from.
_FILE = "mlpromote.file"
#: In a monitor's name: stands for the model's.
_MODEL = "{model}"
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
    return file.name.replace(_MODEL, target.command.candidate.name)


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
        _FILE: sha256(path.read_bytes()).hexdigest()[:_DIGEST_LENGTH],
    }
    found = workspace.monitor(name)
    says = f"monitor {name} is being pointed at deployment {deployment}"
    if found is not None and any(found.tags.get(tag) != tags[tag] for tag in (ROUTE, STAGE)):
        return Failed(
            f"Monitor {name} was not made for stage {target.command.stage} of route {target.command.lane.route}, so it "
            f"was left alone. Choose another `name` in {file.file.name}, or give it the tags {ROUTE}={tags[ROUTE]} and "
            f"{STAGE}={tags[STAGE]}.",
            FailureKind.CONFLICT,
        )
    if found is not None and found.state not in SETTLED:
        return poll_again(target.command, says)
    is_right = found is not None and found.is_enabled and found.tags.get(_FILE) == tags[_FILE]
    if found is not None and is_right and found.state == READY and found.deployment.casefold() == wanted.casefold():
        return Succeeded(as_evidence(Watched(name, deployment)))
    if not asks_again(target.command):
        return poll_again(target.command, says)
    workspace.start_monitor(path, name, target.endpoint, deployment, tags)
    return poll_again(target.command, says)
