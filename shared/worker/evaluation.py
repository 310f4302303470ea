"""Evaluates the candidate and the champion with one job in the environment: its inputs and its results.

The environment's worker always reads the job itself and trusts nobody else's report of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from shared.config.evaluation import CHAMPION, MODEL, OF_CHAMPION, EvaluationSettings
from shared.config.gate import Gate
from shared.config.job_files import of_inputs
from shared.core import asset_names
from shared.core.approval import DIGEST_LENGTH
from shared.core.messages import Candidate, Failed, FailureKind
from shared.ports import DataAsset, Deployment, JobInput, JobSubmission, RejectedError, SubmittedJob, same_asset
from shared.worker import data_assets, jobs
from shared.worker.gates import Verdict, figure, no_worse, within_bounds
from shared.worker.manifest import job_digest, model_to_deploy
from shared.worker.metric_values import MetricValues
from shared.worker.target import ATTEMPT, PROMOTION, ROUTE, STAGE, VERSION, Target
from shared.worker.target import MODEL as MODEL_TAG

# Evidence is part of messages and documents, so it is kept small.
MOST_METRICS = 50
LONGEST_NAME = 200
_LONGEST_TAG = 256


@dataclass(frozen=True)
class UsedData:
    """The version of a data asset that the job was given."""

    input: str
    name: str
    version: str
    asset: str  #: its ARM id


@dataclass(frozen=True)
class Measured:
    """One metric of both models; None if the job logged no number."""

    metric: str
    candidate: float | None
    champion: float | None


@dataclass(frozen=True)
class Evaluated:
    """What the job measured, and the gates' verdicts."""

    job: str
    studio: str  #: address of its page
    digest: str  #: of the job's file and code, as a policy names it
    model: str  #: id of the asset that would be deployed
    champion: str | None  #: id of the champion's asset, if there was one
    data: tuple[UsedData, ...]
    metrics: tuple[Measured, ...]
    gates: tuple[Verdict, ...]
    metrics_left_out: int = 0
    not_numbers: Mapping[str, str] = field(default_factory=dict)  #: `NaN`, `Infinity` or `-Infinity`, by metric
    approves: str = ""  #: digest that people are asked to approve in the environment's own app


def settings(target: Target) -> EvaluationSettings:
    """Return the stage's evaluation. Raises `RejectedError` if it has none."""
    found = target.stage.evaluate
    if found is None:
        raise RejectedError(f"Stage {target.command.stage} has no evaluation. Start a new promotion.")
    return found


def file_of(target: Target) -> Path:
    return target.folder / settings(target).job


def obstacle(target: Target) -> Failed | None:
    """Return what would stop the job, as far as that is known before anything is spent."""
    found = obstacle_of_file(target)
    if found is not None:
        return found
    champion = champion_model(target)
    if isinstance(champion, Failed):
        return champion
    data = resolved(target)
    return data if isinstance(data, Failed) else None


def obstacle_of_file(target: Target) -> Failed | None:
    """Return what would stop the job because of its file."""
    asked = settings(target)
    described = target.workspace.job_file(file_of(target))
    for sentence in of_inputs(described.inputs, asked):
        return Failed(f"Correct the job file or the stage: {sentence}.", FailureKind.BAD_CONFIG)
    if described.compute and not target.workspace.has_compute(described.compute):
        return Failed(
            f"The workspace of {target.command.environment} has no compute {described.compute}, which {asked.job} "
            "requires. Create it, or name another compute.",
            FailureKind.NOT_FOUND,
        )
    return None


def resolved(target: Target) -> Mapping[str, DataAsset] | Failed:
    """Return the data assets that the stage names, by input. `@latest` is the latest version now."""
    found: dict[str, DataAsset] = {}
    for name, asked in settings(target).asked().items():
        asset = data_assets.usable(target, asked.name, asked.version, "correct `evaluate: inputs` of the stage")
        if isinstance(asset, Failed):
            return asset
        found[name] = asset
    return found


def champion_model(target: Target) -> str | Failed | None:
    """Return the id of the asset that serves now, in the registry or the workspace, or None if nothing serves.

    If a deployment of this lane takes traffic, the endpoint decides, even if the command names another champion or
    none.
    """
    champion, serving = target.command.champion, _serving(target)
    if champion is None:
        return serving.model if serving is not None else None
    copies = _of_candidate(target, champion.candidate)
    served = next((each for each in copies if serving is not None and same_asset(serving.model, each)), None)
    if serving is not None and served is None:
        return Failed(
            f"Deployment {serving.name} of endpoint {target.endpoint} serves {serving.model}, not the "
            f"champion, version {champion.candidate.version}. Find out who changed it, and start a new promotion.",
            FailureKind.CONFLICT,
        )
    if not copies:
        return Failed(
            f"The champion, version {champion.candidate.version}, is gone from the registry, so nothing can be "
            "compared with it. Share it again, then retry.",
            FailureKind.NOT_FOUND,
        )
    return served or copies[0]


def _of_candidate(target: Target, candidate: Candidate) -> list[str]:
    """Return the ids of a candidate that may be deployed here: the registry's, and this workspace's own if any."""
    is_own = target.rules.is_own(candidate.workspace)
    own = target.workspace.model(candidate.name, candidate.version) if is_own else None
    copy = target.workspace.registry_model(candidate.name, candidate.version)
    return [each.asset_id for each in (copy, own) if each is not None]


def is_same_model(given: str, model: str) -> bool:
    """Return whether a job of this workspace was given the model. Jobs name models of their own workspace by a
    different form of the id."""
    one, other = asset_names.read(given), asset_names.read(model)
    if one is None or other is None:
        return same_asset(given, model)
    return (one.registry, one.reference) == (other.registry, other.reference)


def _serving(target: Target) -> Deployment | None:
    """Return the deployment of this lane, from another promotion, with the most traffic."""
    endpoint = target.workspace.endpoint(target.endpoint)
    traffic = {name: share for name, share in endpoint.traffic.items() if share} if endpoint is not None else {}
    for name in sorted(traffic, key=lambda each: -traffic[each]):
        found = target.workspace.deployment(target.endpoint, name)
        if found is not None and target.is_of_this_lane(found) and not target.is_of_this_promotion(found):
            return found
    return None


def submission(
    target: Target, job: str, model: str, champion: str | None, data: Mapping[str, DataAsset]
) -> JobSubmission:
    """Return the job to submit under this name."""
    command = target.command
    bound = {MODEL: JobInput(model), **({CHAMPION: JobInput(champion)} if champion else {})}
    bound |= {name: JobInput(asset.asset_id, asset.type) for name, asset in data.items()}
    tags = {
        ROUTE: command.lane.route,
        PROMOTION: command.promotion,
        ATTEMPT: str(command.attempt),
        STAGE: command.stage,
        MODEL_TAG: command.candidate.name,
        VERSION: command.candidate.version,
        jobs.DIGEST: _content_digest(target, bound),
    }
    return JobSubmission(
        name=job,
        inputs=bound,
        left_out=() if champion else (CHAMPION,),
        tags={name: value[:_LONGEST_TAG] for name, value in tags.items()},
        experiment=f"mlpromote-{command.lane.route}",
    )


def _content_digest(target: Target, bound: Mapping[str, JobInput]) -> str:
    described = target.workspace.job_file(file_of(target))
    content = {"job": job_digest(described), "inputs": {name: each.asset_id for name, each in bound.items()}}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def start(target: Target, job: str) -> SubmittedJob | Failed:
    """Submit the job, or return why it cannot be submitted."""
    copy = model_to_deploy(target)
    if isinstance(copy, Failed):
        return copy
    champion, data = champion_model(target), resolved(target)
    if isinstance(champion, Failed):
        return champion
    if isinstance(data, Failed):
        return data
    asked = submission(target, job, copy.asset_id, champion, data)
    return target.workspace.start_job(file_of(target), asked)


def not_ours(target: Target, job: SubmittedJob) -> str:
    """Return why the job is not the one that this worker would submit for the candidate; empty if it is.

    Its tags alone prove nothing: anybody who may submit jobs can change them later.
    """
    workspace = target.workspace
    if workspace.job_creator(job.name) != workspace.own_id():
        return f"it was not submitted by the identity of {target.command.environment}"
    data = _data_of(target, job)
    if isinstance(data, str):
        return data
    copy = model_to_deploy(target)
    if isinstance(copy, Failed):
        return copy.reason
    champion = champion_model(target)
    if isinstance(champion, Failed):
        return champion.reason
    asked = submission(target, job.name, copy.asset_id, champion, data)
    differing = list(workspace.job_differences(job, file_of(target), asked))
    if not differing and job.tags.get(jobs.DIGEST) != asked.tags[jobs.DIGEST]:
        differing = [f"its tag {jobs.DIGEST}"]
    return f"it differs in {', '.join(differing)}" if differing else ""


def _data_of(target: Target, job: SubmittedJob) -> Mapping[str, DataAsset] | str:
    """Return the data assets that the job was given, with `@latest` as it was when the job was submitted."""
    found: dict[str, DataAsset] = {}
    for name, asked in settings(target).asked().items():
        version = asked.version or job.inputs.get(name, "").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        asset = target.workspace.data_asset(asked.name, version) if version else None
        if asset is None:
            given = job.inputs.get(name) or "missing"
            return f"its input {name} is {given}, which is not a version of data asset {asked.name}"
        found[name] = asset
    return found


def read(target: Target, job: SubmittedJob, gates: Sequence[Gate]) -> Evaluated:
    """Return what the job measured, with the gates' verdicts."""
    logged = target.workspace.metrics(job.name)
    values, champion = MetricValues.of(logged), job.inputs.get(CHAMPION)
    numbers, odd = values.numbers, values.not_numbers
    names = _metric_names(logged, gates)
    kept = names[:MOST_METRICS]
    return Evaluated(
        job=job.name,
        studio=job.studio,
        digest=job_digest(target.workspace.job_file(file_of(target))),
        model=job.inputs.get(MODEL, ""),
        champion=champion,
        data=tuple(_used(name, asset) for name, asset in _data_or_none(target, job).items()),
        metrics=tuple(Measured(name, numbers.get(name), numbers.get(OF_CHAMPION + name)) for name in kept),
        gates=tuple(_verdicts(gates, values, champion is not None)),
        metrics_left_out=len(names) - len(kept),
        not_numbers={name: text for name, text in odd.items() if name.removeprefix(OF_CHAMPION) in kept},
    )


def judged_by(target: Target, job: SubmittedJob, gates: Sequence[Gate]) -> list[Verdict]:
    """Return these gates' verdicts on what the job measured."""
    values = MetricValues.of(target.workspace.metrics(job.name))
    return list(_verdicts(gates, values, CHAMPION in job.inputs))


def _metric_names(logged: Iterable[str], gates: Sequence[Gate]) -> list[str]:
    """Return the metrics of both models, without the champion's prefix: first those of gates, then others by name."""
    asked = dict.fromkeys(gate.metric for gate in gates)
    others = sorted({name.removeprefix(OF_CHAMPION) for name in logged} - asked.keys())
    return [*asked, *(name for name in others if len(name) <= LONGEST_NAME)]


def _data_or_none(target: Target, job: SubmittedJob) -> Mapping[str, DataAsset]:
    data = _data_of(target, job)
    return {} if isinstance(data, str) else data


def _used(name: str, asset: DataAsset) -> UsedData:
    return UsedData(name, asset.name, asset.version, asset.asset_id)


def _verdicts(gates: Sequence[Gate], values: MetricValues, champion: bool) -> Iterator[Verdict]:
    for gate in gates:
        name, value = f"metric {gate.metric}", values.numbers.get(gate.metric)
        seen = _seen(gate.metric, values)
        yield from within_bounds(gate, name, value, seen)
        margin = gate.no_worse_than_champion_by
        if margin is None:
            continue
        asked = f"no worse than the champion's by more than {figure(margin)}"
        if not champion:
            says = f"{seen}; there is no champion: {gate.without_champion}"
            yield Verdict(name, asked, says, value is not None and gate.without_champion == "pass")
            continue
        theirs = values.numbers.get(OF_CHAMPION + gate.metric)
        says = f"{seen}; the champion's: {_seen(OF_CHAMPION + gate.metric, values)}"
        holds = value is not None and theirs is not None and no_worse(value, theirs, margin, gate.higher_is_better)
        yield Verdict(name, asked, says, holds)


def _seen(metric: str, values: MetricValues) -> str:
    if metric in values.numbers:
        return figure(values.numbers[metric])
    odd = values.not_numbers.get(metric)
    return f"the job logged {odd}" if odd else f"{metric} was not logged"


def approved_digest(manifest: str, evaluated: Evaluated | None) -> str:
    """Return the digest that people approve in the environment's own app: the deployment and the measured metrics."""
    if evaluated is None:
        return manifest
    content = {"manifest": manifest, "evaluated": asdict(replace(evaluated, studio="", approves=""))}
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:DIGEST_LENGTH]
