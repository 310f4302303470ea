"""Metrics of a pipeline: those of the job itself and of its steps, which usually log them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.ports import Workspace
from shared.worker.metric_values import MetricValues

# Evidence is part of messages and documents, so it is kept small.
MOST_METRICS = 40
LONGEST_NAME = 128


@dataclass(frozen=True)
class Figures:
    """The last value of each metric that a pipeline's run logged."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    #: Metrics whose value JSON cannot express: `NaN`, `Infinity` or `-Infinity`, as MLflow writes them.
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    #: Metrics that several steps logged with different values, so that none counts.
    ambiguous: tuple[str, ...] = ()
    left_out: int = 0

    def why_missing(self, metric: str) -> str:
        if metric in self.not_numbers:
            return f"the run logged {self.not_numbers[metric]}"
        if metric in self.ambiguous:
            return "several steps logged it, with different values"
        left = f"; {self.left_out} metrics were left out" if self.left_out else ""
        return f"not logged by the job or any of its steps{left}"


def read(workspace: Workspace, job: str, asked: Collection[str]) -> Figures:
    """Return what the pipeline job and its steps logged, with the metrics in `asked` first."""
    values: dict[str, list[float]] = {}
    for step in workspace.step_metrics(job):
        for name, value in step.metrics.items():
            values.setdefault(name, []).append(value)
    values |= {name: [value] for name, value in workspace.metrics(job).items()}  # the job's own value counts
    ambiguous = tuple(sorted(name for name, each in values.items() if not _agree(each) and name in asked))
    usable = {name: each[0] for name, each in values.items() if _agree(each) and len(name) <= LONGEST_NAME}
    kept = sorted(usable, key=lambda name: (name not in asked, name))[:MOST_METRICS]
    shown = MetricValues.of({name: usable[name] for name in kept})
    return Figures(
        metrics=shown.numbers,
        not_numbers=shown.not_numbers,
        ambiguous=ambiguous,
        left_out=len(usable) - len(kept),
    )


def _agree(values: list[float]) -> bool:
    return len({str(value) for value in values}) == 1
