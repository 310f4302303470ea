"""Compares this run's metrics with those of the source's run and the champion's: sample against production data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.config.pipeline_stage import RunGate
from shared.core.columns import in_columns
from shared.core.messages import Champion, Outcome, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.worker import gates, pipeline_metrics
from shared.worker.gates import Verdict, figure, no_worse, within_bounds
from shared.worker.order import Step, champion_saw
from shared.worker.pipeline_metrics import Figures
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.steps import register_components
from shared.worker.steps import run as run_step


@dataclass(frozen=True)
class Row:
    """One metric, with its value in each run that has one."""

    metric: str
    source: float | None = None  #: in the source's run, on the source's data
    here: float | None = None  #: in this run, on this environment's data
    champion: float | None = None  #: in the champion's run here


@dataclass(frozen=True)
class Compared:
    """The gates, and the metrics side by side."""

    gates: tuple[Verdict, ...]
    metrics: tuple[Row, ...] = ()
    #: Of this run. The next run is compared with them.
    figures: Figures = field(default_factory=Figures)
    job: str = ""


def run(order: PipelineOrder) -> Outcome:
    job = order.seen(run_step.STEP).job
    asked = {gate.metric for gate in order.stage.gates}
    here = pipeline_metrics.read(order.workspace, job, asked)
    source, champion = order.seen(register_components.STEP).figures, order.command.champion
    before = champion_saw(champion, STEP)
    judging = _Judging(here, source, before.figures if before else None, champion)
    verdicts = tuple(verdict for gate in order.stage.gates for verdict in judging.verdicts(gate))
    compared = Compared(verdicts, tuple(judging.rows()), here, job)
    refusal = gates.refusal(f"{order.command.stage} after job {job}", verdicts, compared)
    if refusal is None:
        return Succeeded(as_evidence(compared))
    return replace(refusal, diagnosis=f"{refusal.diagnosis}\n\n{table(compared.metrics)}")


@dataclass(frozen=True)
class _Judging:
    here: Figures
    source: Figures
    before: Figures | None  #: of the champion's run
    champion: Champion | None

    def rows(self) -> Iterator[Row]:
        before = self.before.metrics if self.before else {}
        for name in sorted({*self.here.metrics, *self.source.metrics}):
            yield Row(name, self.source.metrics.get(name), self.here.metrics.get(name), before.get(name))

    def verdicts(self, gate: RunGate) -> Iterator[Verdict]:
        name, value = f"metric {gate.metric}", self.here.metrics.get(gate.metric)
        seen = figure(value) if value is not None else self.here.why_missing(gate.metric)
        yield from within_bounds(gate, name, value, seen)
        if gate.no_worse_than_source_by is not None:
            yield self._against_source(gate, gate.no_worse_than_source_by, name, value, seen)
        if gate.no_worse_than_champion_by is not None:
            yield self._against_champion(gate, gate.no_worse_than_champion_by, name, value, seen)

    def _against_source(self, gate: RunGate, margin: float, name: str, value: float | None, seen: str) -> Verdict:
        theirs = self.source.metrics.get(gate.metric)
        if theirs is None:
            asked = f"no worse than the source's by more than {figure(margin)}"
            return Verdict(name, asked, f"{seen}; the source's: {self.source.why_missing(gate.metric)}", False)
        asked = f"no worse than the source's {figure(theirs)} by more than {figure(margin)}"
        holds = value is not None and no_worse(value, theirs, margin, gate.higher_is_better)
        return Verdict(name, asked, seen, holds)

    def _against_champion(self, gate: RunGate, margin: float, name: str, value: float | None, seen: str) -> Verdict:
        theirs = self.before.metrics.get(gate.metric) if self.before else None
        if self.champion is None or theirs is None:
            nobody = "there is no champion" if self.champion is None else f"the champion has no {gate.metric}"
            holds = value is not None and gate.without_champion == "pass"
            asked = f"no worse than the champion's by more than {figure(margin)}"
            return Verdict(name, asked, f"{seen}; {nobody}: {gate.without_champion}", holds)
        asked = f"no worse than the champion's {figure(theirs)} by more than {figure(margin)}"
        holds = value is not None and no_worse(value, theirs, margin, gate.higher_is_better)
        return Verdict(name, asked, seen, holds)


def table(rows: Sequence[Row]) -> str:
    """Return the metrics as a table for people."""
    cells = [("metric", "source", "here", "champion")]
    cells += [(row.metric, _shown(row.source), _shown(row.here), _shown(row.champion)) for row in rows]
    return in_columns(cells)


def _shown(value: float | None) -> str:
    return figure(value) if value is not None else "–"


STEP = Step("compare", run, Compared, PipelineOrder)
