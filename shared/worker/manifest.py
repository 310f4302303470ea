"""What a deployment is made from, as the environment's own worker reads it, and the digest that people approve.

Nothing of it is taken from the evidence of others but what gates were judged on: the registry's asset, the files and
the smoke requests are read here.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from shared.core.approval import DIGEST_LENGTH, Author
from shared.core.messages import Failed, FailureKind
from shared.ports import DeploymentFile, JobFile, Model, RejectedError, same_asset
from shared.worker.gates import Verdict
from shared.worker.steps import share
from shared.worker.target import Target

# Evidence is part of messages and documents, so it is kept small.
MOST_FILES = 60
LONGEST_NAME = 200


@dataclass(frozen=True)
class Manifest:
    """Of a deployment that people look at before they approve it: part of the evidence of `validate`."""

    digest: str  #: of everything, also of what is not listed here
    model: str  #: id of the registry's asset
    origin: str  #: id of the asset that it was shared from
    copied: str  #: when the registry's copy was made; empty where the registry does not say
    endpoint: str
    deployment: str  #: name of the deployment file
    files: Mapping[str, str]  #: SHA-256 by name, relative to the folder of `promotion.yml`
    files_left_out: int = 0  #: which are in the digest all the same
    evaluation: str = ""  #: digest of the job that evaluates the model, as a policy names it; empty without one


def read(
    target: Target,
    copy: Model,
    described: DeploymentFile,
    evaluation: JobFile | None,
    verdicts: Sequence[Verdict],
    authors: Sequence[Author],
) -> Manifest:
    """The manifest of what would be deployed now. Raises `RejectedError` where a file cannot be read."""
    files = dict(_hashed(target, [*described.files, *(evaluation.files if evaluation else ())]))
    job = job_digest(evaluation) if evaluation else ""
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
        "settings": target.stage.frozen(),
        "require_tags": dict(target.settings.require_tags),
        "gates": [asdict(verdict) for verdict in verdicts],
        "authors": sorted(author.id for author in authors),
    }
    digest = sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]
    shown = {name[-LONGEST_NAME:]: content for name, content in list(files.items())[:MOST_FILES]}
    return Manifest(digest, **subject, files=shown, files_left_out=len(files) - len(shown), evaluation=job)


def job_digest(job: JobFile) -> str:
    """Digest of a job's file and of all files that are submitted with it: the same wherever they lie."""
    folder = job.files[0].parent
    hashes = {_name(folder, file): _digest(file) for file in job.files}
    return f"sha256:{sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()}"


def registry_copy(target: Target) -> Model | Failed:
    """The registry's copy of the candidate, read with this environment's identity; or why it cannot be deployed."""
    command = target.command
    name, version = command.candidate.name, command.candidate.version
    copy = target.workspace.registry_model(name, version)
    if copy is None:
        return Failed(
            f"{command.environment} cannot find model {name}, version {version}, in the registry. Give its identity "
            "a role to read there. If the model was deleted, promote it again.",
            FailureKind.NOT_FOUND,
        )
    origin = target.seen(share.STEP).origin
    if not same_asset(copy.origin, origin):
        return Failed(
            f"Model {name}, version {version}, in the registry is not the one that was shared: it was copied from "
            f"{copy.origin}, not from {origin}. Promote a new version.",
            FailureKind.CONFLICT,
        )
    return copy


def what_changed(before: Manifest, now: Manifest) -> Iterator[str]:
    """In words, each with its name; nothing where the digests are the same."""
    if before.digest == now.digest:
        return
    found = _differences(before, now)
    yield from found
    if not found:
        left_out = before.files_left_out or now.files_left_out
        rest = "a setting, what a gate saw or who made the model"
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
        )
        if old != new
    ]
    for name in sorted(before.files.keys() | now.files.keys()):
        old, new = before.files.get(name), now.files.get(name)
        if old != new:
            found.append(name if old and new else f"{name} (was {'added' if new else 'removed'})")
    return found


def _hashed(target: Target, files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """First what the stage names itself, then the rest by name."""
    named = [target.deployment_file, *([target.smoke_file] if target.smoke_file else [])]
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
        raise RejectedError(
            f"The file {file.name}, which the deployment is made from, cannot be read: {fault}"
        ) from fault
    return made.hexdigest()
