"""Where a model came from, as far as its workspace still knows: its job, the pipeline above it, and its metrics.

Evidence travels in messages and documents, so it is kept small.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.ports import Job, StepMetrics, Workspace

MOST_INPUTS = 20
MOST_TAGS = 50
MOST_STEPS_NAMED = 10
LONGEST_TEXT = 256

#: Prefix of this app's tags.
OURS = "mlpromote."

#: Properties that azure-ai-ml sets on a job submitted from a git repository.
_GIT = {
    "repository": "azureml.git.repository_uri",
    "branch": "mlflow.source.git.branch",
    "commit": "mlflow.source.git.commit",
    "dirty": "azureml.git.dirty",
}


@dataclass(frozen=True)
class Pipeline:
    """The pipeline job above a step."""

    name: str
    status: str = ""  #: empty if it is gone
    component: str | None = None  #: id of the pipeline component that it was created from, if any
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → path or value
    tags: Mapping[str, str] = field(default_factory=dict)  #: those of this app


@dataclass(frozen=True)
class Lineage:
    """The job that made the model, or a run outside any job, as far as Azure ML still knows it."""

    name: str
    status: str = ""  #: empty if the job is gone
    experiment: str = ""
    parent: str | None = None
    code: str | None = None
    environment: str | None = None  #: the environment asset
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → path or value
    git: Mapping[str, str] = field(default_factory=dict)  #: repository, branch, commit, dirty
    tracked_by: str | None = None  #: `MLflow` for a run outside any job
    node: str | None = None  #: its name in the pipeline, if it is a step
    component: str | None = None  #: id of the component that it ran, if any
    tags: Mapping[str, str] = field(default_factory=dict)  #: those of this app
    pipeline: Pipeline | None = None  #: the pipeline that it is a step of


@dataclass(frozen=True)
class Measured:
    """Metrics, and where they were found. The job's own metrics take precedence over those of related runs."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)  #: metric → the run that logged it, if not the job itself
    unclear: Mapping[str, str] = field(default_factory=dict)  #: metric → the values in words, if runs disagree
    looked_in: Sequence[str] = ()  #: in words


def above(workspace: Workspace, job: Job) -> Job | None:
    """Return the pipeline job that a step belongs to; None if the job is not a step or the pipeline job is gone."""
    name = job.root or job.parent
    return workspace.job(name) if name else None


def traced(job: Job, pipeline: Job | None) -> Lineage:
    """Return the job, with the pipeline above it if it is a step."""
    name = job.root or job.parent
    return Lineage(
        name=job.name,
        status=job.status,
        experiment=job.experiment[:LONGEST_TEXT],
        parent=job.parent,
        code=job.code,
        environment=job.environment_asset,
        inputs=short(job.inputs, MOST_INPUTS),
        tracked_by="MLflow" if job.is_run else None,
        git=git_of(job.properties),
        node=job.node[:LONGEST_TEXT] or None,
        component=job.component,
        tags=of_this_app(job.tags),
        pipeline=_pipeline(name, pipeline) if name else None,
    )


def git_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the git repository, branch and commit from a job's properties."""
    return {what: properties[key][:LONGEST_TEXT] for what, key in _GIT.items() if key in properties}


def _pipeline(name: str, job: Job | None) -> Pipeline:
    if job is None:
        return Pipeline(name)
    return Pipeline(name, job.status, job.component, short(job.inputs, MOST_INPUTS), of_this_app(job.tags))


def measured(workspace: Workspace, job: Job, asked: Collection[str]) -> Measured:
    """Return what the job logged. If `asked` has other metrics, also search the runs below the job or, for a step, the
    other steps and the pipeline job."""
    found = Measured(dict(workspace.metrics(job.name)), looked_in=(_called(job),))
    if not job.is_pipeline and found.metrics.keys() >= set(asked):
        return found
    if not job.parent:
        return _with(found, workspace.step_metrics(job.name), "the runs below it")
    for above in dict.fromkeys(each for each in (job.parent, job.root) if each):
        steps = [each for each in workspace.step_metrics(above) if each.run != job.name]
        pipeline = StepMetrics(above, f"pipeline {above}", workspace.metrics(above))
        found = _with(found, [pipeline, *steps], f"pipeline job {above} and its other steps")
    return found


def _called(job: Job) -> str:
    step = f"step {job.node} " if job.node else ""
    return f"{step}(job {job.name})" if step else f"{'run' if job.is_run else 'job'} {job.name}"


def _with(known: Measured, runs: Sequence[StepMetrics], where: str) -> Measured:
    """Add metrics that are still unknown from other runs. If those runs disagree on a value, it stays unknown."""
    metrics, steps, unclear = dict(known.metrics), dict(known.steps), dict(known.unclear)
    for name in sorted({name for run in runs for name in run.metrics} - metrics.keys() - unclear.keys()):
        values = {_named(run): run.metrics[name] for run in runs if name in run.metrics}
        if len({repr(value) for value in values.values()}) > 1:
            unclear[name] = ", ".join(f"{value:.6g} by {run}" for run, value in list(values.items())[:MOST_STEPS_NAMED])
        else:
            steps[name], metrics[name] = next(iter(values.items()))
    return Measured(metrics, steps, unclear, (*known.looked_in, f"{where}{_listed(runs)}"))


def _named(run: StepMetrics) -> str:
    return run.node if run.node.endswith(run.run) else f"{run.node or 'step'} ({run.run})"


def _listed(runs: Sequence[StepMetrics]) -> str:
    names = list(dict.fromkeys(run.node or run.run for run in runs))
    left_out = f" and {len(names) - MOST_STEPS_NAMED} more" if len(names) > MOST_STEPS_NAMED else ""
    shown = ", ".join(names[:MOST_STEPS_NAMED])
    return f" ({shown}{left_out})" if names else " (there are none)"


def of_this_app(tags: Mapping[str, str]) -> dict[str, str]:
    return short({name: value for name, value in tags.items() if name.startswith(OURS)}, MOST_TAGS)


def short(texts: Mapping[str, str], most: int, first: Collection[str] = ()) -> dict[str, str]:
    """Return all texts if they are few; otherwise those named in `first`, then this app's own, then others."""
    names = sorted(texts, key=lambda name: (name not in first, not name.startswith(OURS), name))[:most]
    return {name[:LONGEST_TEXT]: texts[name][:LONGEST_TEXT] for name in names}


def trimmed(texts: Mapping[str, str], wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the texts with these names, cut to the limit."""
    yield from ((name[:LONGEST_TEXT], text[:LONGEST_TEXT]) for name, text in texts.items() if name in wanted)
