"""Tests the new batch deployment before it becomes the default: invokes it and the present default on the same input,
waits for both jobs, and compares the rows that they write.

A job has a name of this step's choosing, so an invocation whose answer was lost is found again and not repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.batch import BatchTest
from shared.core import asset_names
from shared.core.job_statuses import COMPLETED, ENDED
from shared.core.messages import AwaitedJob, Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.ports import Capability, Invocation, RejectedError, SubmittedJob
from shared.worker import batch_endpoints, jobs, rows
from shared.worker.gates import figure
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.rows import Compared, Row
from shared.worker.target import READY, Target
from shared.worker.traffic import predecessor

#: Of one file. A function has little memory.
MOST_BYTES = 16_000_000
_INPUT = "input"


@dataclass(frozen=True)
class Invoked:
    """What the deployments did with the input."""

    job: str
    studio: str = ""  #: address of its page
    data: str = ""  #: id of the data asset
    rows: int | None = None  #: that the new deployment wrote
    champion: str | None = None  #: the deployment that it was compared with; None if none served
    champion_job: str | None = None
    champion_rows: int | None = None
    differing: int | None = None  #: rows that differ by more than the tolerance; None if they were not compared
    disagreement: float | None = None  #: the same as a part of all rows
    largest_difference: float | None = None  #: between two numbers of matching rows
    matched_by: str | None = None  #: `column 1`, or `their order`


@dataclass(frozen=True)
class Begun:
    """State for the next poll: the jobs, by name, which were checked to be the step's own."""

    jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Run:
    """A deployment that is invoked, and the name of its job."""

    deployment: str
    job: str


def run(target: Target) -> Outcome:
    asked = target.stage.test
    if asked is None:
        raise RejectedError(f"Stage {target.command.stage} has no test. Start a new promotion.")
    runs = _runs(target, asked)
    if isinstance(runs, Failed):
        return runs
    begun = target.state(Begun) or Begun()
    found: list[tuple[_Run, SubmittedJob]] = []
    for each in runs:
        job = _polled(target, asked, each, each.job in begun.jobs)
        if isinstance(job, Failed):
            return job
        if job.status not in ENDED or job.status == COMPLETED:
            found.append((each, job))
        elif each.deployment == target.deployment or asked.disagreement is not None:
            return _failed(target, each, job)
        # Otherwise nothing is judged by what the default writes, and one that fails must not stop its successor.
    waiting = next((job for _, job in found if job.status not in ENDED), None)
    if waiting is not None:
        says = "; ".join(f"job {job.name}: {job.status}" for _, job in found)
        polled = poll_again(target.command, says, Begun(tuple(each.job for each in runs)))
        return replace(polled, awaits=AwaitedJob(waiting.workspace, waiting.name, is_ours=True))
    return _judged(target, asked, found)


def _runs(target: Target, asked: BatchTest) -> Sequence[_Run] | Failed:
    """The new deployment, and the present default if it is this lane's."""
    command = target.command
    ours = _Run(target.deployment, jobs.name_of(command))
    champion = predecessor(target)
    if champion is None:
        return [ours]
    there = target.workspace.deployment(target.endpoint, champion)
    if there is not None and there.state == READY:
        return [ours, _Run(champion, jobs.name_of(command, jobs.of_champion(command.step)))]
    if asked.disagreement is None:
        return [ours]
    return Failed(
        f"Deployment {champion}, the champion of batch endpoint {target.endpoint}, is not there or not ready, so "
        "nothing can be compared with it. Create it again, or remove `disagreement` from the test, then start a new "
        "promotion.",
        FailureKind.NOT_FOUND,
    )


def _polled(target: Target, asked: BatchTest, wanted: _Run, begun: bool) -> SubmittedJob | Failed:
    def start(name: str) -> SubmittedJob | Failed:
        data = batch_endpoints.data(target, asked)
        if isinstance(data, Failed):
            return data
        asset, kind = data
        invocation = Invocation(name, asset, kind, _output(name), f"mlpromote-{target.command.lane.route}")
        return target.workspace.start_invocation(target.endpoint, wanted.deployment, invocation)

    return jobs.polled(target, wanted.job, begun, start, lambda job: _not_ours(target, asked, job))


def _output(job: str) -> str:
    """Where the rows of a job are written: a place of its own, since a job fails if its file is there already."""
    return f"mlpromote/{job}/rows.csv"


def _not_ours(target: Target, asked: BatchTest, job: SubmittedJob) -> str:
    """Why the job is not an invocation of this step; empty if it is."""
    workspace = target.workspace
    if workspace.job_creator(job.name) != workspace.own_id():
        return f"it was not submitted by the identity of {target.command.environment}"
    given, wanted = asset_names.read(job.inputs.get(_INPUT, "")), asked.asked() or asset_names.read(asked.input)
    if given is None or wanted is None or given.name != wanted.name:
        return f"its input is {job.inputs.get(_INPUT) or 'missing'}, not {asked.input}"
    return ""


def _failed(target: Target, wanted: _Run, job: SubmittedJob) -> Failed:
    found = jobs.failed(target.workspace, job)
    who = "The new deployment" if wanted.deployment == target.deployment else "The present default"
    evidence = as_evidence(Invoked(job.name, job.studio, job.inputs.get(_INPUT, "")))
    return replace(found, reason=f"{who}, {wanted.deployment}, failed its test. {found.reason}", evidence=evidence)


def _judged(target: Target, asked: BatchTest, found: Sequence[tuple[_Run, SubmittedJob]]) -> Outcome:
    (_, ours), *others = found
    evidence = Invoked(ours.name, ours.studio, ours.inputs.get(_INPUT, ""))
    for champion, theirs in others:
        evidence = replace(evidence, champion=champion.deployment, champion_job=theirs.name)
        if theirs.inputs.get(_INPUT) != ours.inputs.get(_INPUT):
            return _refused(
                evidence, "the input has a new version since the first job was started. Retry, or name a version"
            )
    written: list[list[Row]] = []
    for each, job in found:
        content = _rows(target, each, job)
        if isinstance(content, str):
            return _refused(evidence, content)
        written.append(content)
    mine, *champions = written
    evidence = replace(evidence, rows=len(mine), champion_rows=len(champions[0]) if champions else None)
    return _compared(asked, evidence, mine, champions[0]) if champions else _succeeded(evidence)


def _rows(target: Target, wanted: _Run, job: SubmittedJob) -> list[Row] | str:
    """What a deployment wrote, or what is wrong with it."""
    content = target.workspace.written(_output(job.name), MOST_BYTES + 1)
    if not content or not content.strip():
        return f"deployment {wanted.deployment} wrote no rows (job {job.name})"
    if len(content) > MOST_BYTES:
        return (
            f"deployment {wanted.deployment} wrote more than {MOST_BYTES // 1_000_000} MB (job {job.name}). Test it "
            "with less input"
        )
    try:
        return rows.read(content)
    except rows.UnreadableError as fault:
        return f"the rows of deployment {wanted.deployment} {fault} (job {job.name})"


def _compared(asked: BatchTest, evidence: Invoked, mine: Sequence[Row], theirs: Sequence[Row]) -> Outcome:
    if len(mine) != len(theirs):
        says = f"it wrote {len(mine)} rows, and deployment {evidence.champion} wrote {len(theirs)} for the same input"
        return _refused(evidence, says)
    seen = rows.compare(mine, theirs, asked.tolerance)
    evidence = replace(
        evidence,
        differing=seen.differing,
        disagreement=round(seen.disagreement, 6),
        largest_difference=seen.largest_difference,
        matched_by=seen.matched_by,
    )
    if asked.disagreement is None or seen.disagreement <= asked.disagreement:
        return _succeeded(evidence)
    return _refused(
        evidence, f"{_in_words(seen, evidence)}: more than the {figure(asked.disagreement)} that are allowed"
    )


def _in_words(seen: Compared, evidence: Invoked) -> str:
    apart = f", by up to {figure(seen.largest_difference)}" if seen.differing and seen.largest_difference else ""
    return (
        f"{seen.differing} of {seen.rows} rows differ from those of deployment {evidence.champion}{apart}, which is a "
        f"part of {figure(seen.disagreement)}"
    )


def _succeeded(evidence: Invoked) -> Succeeded:
    told = f"{evidence.rows} rows"
    if evidence.differing is not None:
        told += f", {evidence.differing} of them differ from those of deployment {evidence.champion}"
    return Succeeded(as_evidence(evidence), says=told)


def _refused(evidence: Invoked, why: str) -> Failed:
    return Failed(
        f"The new deployment did not pass its test: {why}.", FailureKind.REFUSED, evidence=as_evidence(evidence)
    )


STEP = Step("invoke", run, Invoked, Target, Capability.INVOKE)
