"""Everything that a deployment is made from, as the environment's own worker reads it, and the digest that people
approve.

The worker reads the registry's asset, the files and the smoke requests itself. From other workers' evidence it takes
only what the gates were judged on.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from shared.core.approval import DIGEST_LENGTH, Author
from shared.core.messages import Failed, FailureKind
from shared.ports import DeploymentFile, EndpointFile, JobFile, Model, MonitorFile, RejectedError, same_asset
from shared.worker.deployment_environments import PinnedEnvironment
from shared.worker.gates import Verdict
from shared.worker.steps import share
from shared.worker.target import Target

# Evidence travels in messages and documents, so keep it small.
MOST_FILES = 60
LONGEST_NAME = 200


@dataclass(frozen=True)
class Manifest:
    """What people review before they approve a deployment. Part of the evidence of `validate`."""

    digest: str  #: of everything, including what is not listed here
    model: str  #: id of the registry's asset, or of the workspace's own if that is deployed
    origin: str  #: id of the asset that it was copied from; empty if it was not copied
    copied: str  #: when that asset was made; empty if Azure does not say
    endpoint: str
    deployment: str  #: name of the deployment file
    files: Mapping[str, str]  #: SHA-256 by name, relative to the folder of `promotion.yml`
    files_left_out: int = 0  #: not listed, but included in the digest
    evaluation: str = ""  #: digest of the job that evaluates the model, as a policy names it; empty without one
    environment: str = ""  #: id of the registry's environment asset that replaces what the file names; empty if none
    environment_digest: str = ""  #: of its content


@dataclass(frozen=True)
class Described:
    """What the stage's files describe."""

    deployment: DeploymentFile
    evaluation: JobFile | None
    analysis: JobFile | None = None  #: the job that compares the answers while the traffic moves
    endpoint: EndpointFile | None = None
    environment: PinnedEnvironment = field(default_factory=PinnedEnvironment)
    monitor: MonitorFile | None = None

    @property
    def files(self) -> Iterable[Path]:
        """Those that they are, and those that they name."""
        others = [each.file for each in (self.endpoint, self.monitor) if each]
        jobs = [job for job in (self.evaluation, self.analysis) if job is not None]
        return [*self.deployment.files, *others, *(file for job in jobs for file in job.files)]


def read(
    target: Target, copy: Model, described: Described, verdicts: Sequence[Verdict], authors: Sequence[Author]
) -> Manifest:
    """The manifest of what would be deployed now. Raises `RejectedError` if a file cannot be read."""
    files = dict(_hashed(target, described.files))
    job = job_digest(described.evaluation) if described.evaluation else ""
    pinned = described.environment
    subject = {
        "model": copy.asset_id,
        "origin": copy.origin or "",
        "copied": copy.created.isoformat() if copy.created else "",
        "endpoint": target.endpoint,
        "deployment": target.stage.deployment,
    }
    everything = {
        **subject,
        "files": files,
        **({"evaluation": job} if job else {}),
        **({"environment": asdict(pinned)} if pinned.asset_id else {}),
        "settings": target.stage.frozen(),
        "require_tags": dict(target.settings.require_tags),
        "gates": [asdict(verdict) for verdict in verdicts],
        "authors": sorted(author.id for author in authors),
    }
    digest = sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]
    shown = {name[-LONGEST_NAME:]: content for name, content in list(files.items())[:MOST_FILES]}
    return Manifest(
        digest,
        **subject,
        files=shown,
        files_left_out=len(files) - len(shown),
        evaluation=job,
        environment=pinned.asset_id,
        environment_digest=pinned.digest,
    )


def job_digest(job: JobFile) -> str:
    """Digest of a job's file and of all files that are submitted with it: the same wherever they lie."""
    folder = job.files[0].parent
    hashes = {_name(folder, file): _digest(file) for file in job.files}
    return f"sha256:{sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()}"


def model_to_deploy(target: Target) -> Model | Failed:
    """What would be deployed, read with this environment's identity; or why it cannot be."""
    return registry_copy(target) if target.uses_registry else own_asset(target)


def own_asset(target: Target) -> Model | Failed:
    """Return the candidate itself, if it is deployed in the workspace that it comes from."""
    command, candidate = target.command, target.command.candidate
    if not target.rules.is_own(candidate.workspace):
        return Failed(
            f"{command.environment} deploys models of its own workspace without the registry, but this one is from "
            f"{candidate.workspace}. Start a new promotion.",
            FailureKind.CONFLICT,
        )
    model = target.workspace.model(candidate.name, candidate.version)
    if model is None:
        return Failed(
            f"Model {candidate.name}, version {candidate.version}, no longer exists in {command.environment}. "
            "Register it and promote that version.",
            FailureKind.NOT_FOUND,
        )
    origin = target.seen(share.STEP).origin
    if not same_asset(model.asset_id, origin):
        return Failed(
            f"Model {candidate.name}, version {candidate.version}, of {command.environment} is not the one that was "
            f"reviewed: it is {model.asset_id}, not {origin}. Promote a new version.",
            FailureKind.CONFLICT,
        )
    return model


def registry_copy(target: Target) -> Model | Failed:
    """The registry's copy of the candidate, read with this environment's identity, or why it cannot be deployed."""
    command = target.command
    name, version = command.candidate.name, command.candidate.version
    copy = target.workspace.registry_model(name, version)
    if copy is None:
        return Failed(
            f"{command.environment} cannot find model {name}, version {version}, in the registry. Give its identity "
            "a role that can read the registry. If the model was deleted, promote it again.",
            FailureKind.NOT_FOUND,
        )
    origin = target.seen(share.STEP).origin
    # Only what was registered there directly is its own origin.
    its_own = copy.asset_id if target.is_born_in_registry and not copy.origin else copy.origin
    if not same_asset(its_own, origin):
        return Failed(
            f"Model {name}, version {version}, in the registry is not the one that was shared: it was copied from "
            f"{copy.origin}, not from {origin}. Promote a new version.",
            FailureKind.CONFLICT,
        )
    return copy


def what_changed(before: Manifest, now: Manifest) -> Iterator[str]:
    """Each change in words, with the name of what changed; nothing if the digests are equal."""
    if before.digest == now.digest:
        return
    found = _differences(before, now)
    yield from found
    if not found:
        left_out = before.files_left_out or now.files_left_out
        rest = "a setting, the evidence of a gate, or the model's authors"
        yield f"a file that is not listed, {rest}" if left_out else rest


def _differences(before: Manifest, now: Manifest) -> list[str]:
    found = [
        f"{words} (was {old or 'unknown'}, is {new or 'unknown'})"
        for words, old, new in (
            ("the model in the registry", before.model, now.model),
            ("the model's origin", before.origin, now.origin),
            ("when the registry's copy was made", before.copied, now.copied),
            ("the endpoint", before.endpoint, now.endpoint),
            ("the deployment file's name", before.deployment, now.deployment),
            ("the job that evaluates the model", before.evaluation, now.evaluation),
            ("the environment asset", before.environment, now.environment),
            ("the environment asset's content", before.environment_digest, now.environment_digest),
        )
        if old != new
    ]
    for name in sorted(before.files.keys() | now.files.keys()):
        old, new = before.files.get(name), now.files.get(name)
        if old != new:
            found.append(name if old and new else f"{name} (was {'added' if new else 'removed'})")
    return found


def _hashed(target: Target, files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The files that the stage names come first, then the rest by name."""
    named = [
        file for file in (target.deployment_file, target.endpoint_file, target.monitor_file, target.smoke_file) if file
    ]
    first = {_name(target.folder, file): file for file in named}
    others = {_name(target.folder, file): file for file in files}
    for name in [*first, *sorted(others.keys() - first.keys())]:
        yield name, _digest(first.get(name) or others[name])


def _name(folder: Path, file: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            made = sha256()
            while chunk := content.read(1 << 20):
                made.update(chunk)
    except OSError as fault:
        raise RejectedError(f"The deployment uses the file {file.name}, which cannot be read: {fault}") from fault
    return made.hexdigest()
