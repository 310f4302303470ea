"""Gates: conditions that a candidate must meet before anything is deployed. Pure: they judge evidence already
gathered."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.config.gate import Bounds, Gate
from shared.core.columns import in_columns
from shared.core.job_statuses import COMPLETED
from shared.core.messages import Champion, Failed, FailureKind, as_evidence
from shared.worker.lineage import Lineage
from shared.worker.order import champion_saw
from shared.worker.steps import share
from shared.worker.steps.share import Shared


@dataclass(frozen=True)
class Verdict:
    """The result of one gate, with its figures."""

    gate: str
    asked: str
    seen: str
    holds: bool


@dataclass(frozen=True)
class Judged:
    """The evidence of a step whose gates refused the candidate, if it has no evidence of its own."""

    gates: tuple[Verdict, ...]


def judge(
    gates: Sequence[Gate], require_tags: Mapping[str, str], shared: Shared, champion: Champion | None
) -> list[Verdict]:
    """Judge every gate, also after one has failed."""
    verdicts = [_tag(name, value, shared.tags) for name, value in sorted(require_tags.items())]
    if shared.job or gates:
        verdicts.append(_finished(shared.job, shared.job_not_found))
    for gate in gates:
        verdicts += _metric(gate, shared, champion)
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in columns, for people."""
    rows = [("gate", "required", "found", "passed")]
    rows += [(each.gate, each.asked, each.seen, "yes" if each.holds else "NO") for each in verdicts]
    return in_columns(rows)


def refusal(what: str, verdicts: Sequence[Verdict], seen: object = None) -> Failed | None:
    """Return why the stage refuses the candidate; None if all gates hold.

    `what`: the stage, and the job that was judged, if any. `seen`: the step's evidence; without it, the verdicts.
    """
    reasons = "; ".join(f"{each.gate}: required {each.asked}, found {each.seen}" for each in verdicts if not each.holds)
    if not reasons:
        return None
    evidence = as_evidence(Judged(tuple(verdicts)) if seen is None else seen)
    return Failed(f"Refused for {what}: {reasons}.", FailureKind.REFUSED, table(verdicts), evidence)


def _tag(name: str, value: str, tags: Mapping[str, str]) -> Verdict:
    seen = tags.get(name)
    return Verdict(f"tag {name}", value, "no such tag" if seen is None else seen, seen == value)


def _finished(job: Lineage | None, not_found: str | None) -> Verdict:
    if job is None and not_found:
        return Verdict("training job", COMPLETED, f"{not_found} cannot be found, so there are no metrics", False)
    if job is None:
        return Verdict("training job", COMPLETED, "the model has no job or run, so there are no metrics", False)
    status = job.status or "the job was deleted"
    return Verdict("training job", COMPLETED, status, status == COMPLETED)


def _metric(gate: Gate, shared: Shared, champion: Champion | None) -> list[Verdict]:
    name = f"metric {gate.metric}"
    value = shared.metrics.get(gate.metric)
    seen = _found(gate.metric, value, shared) if value is not None else _why_missing(gate.metric, shared)
    return [*within_bounds(gate, name, value, seen), *_comparison(gate, name, value, seen, champion)]


def within_bounds(gate: Bounds, name: str, value: float | None, seen: str) -> Iterator[Verdict]:
    """The verdicts on `at_least` and `at_most`; `seen` is the value in words."""
    if gate.at_least is not None:
        yield Verdict(name, f"at least {figure(gate.at_least)}", seen, value is not None and value >= gate.at_least)
    if gate.at_most is not None:
        yield Verdict(name, f"at most {figure(gate.at_most)}", seen, value is not None and value <= gate.at_most)


def no_worse(value: float, theirs: float, margin: float, higher_is_better: bool) -> bool:
    """Whether a value is worse than another one by no more than the margin."""
    worse = theirs - value if higher_is_better else value - theirs
    # 0.9 - 0.895 is a little more than 0.005 in binary; nobody means that.
    return worse <= margin or math.isclose(worse, margin, rel_tol=1e-9, abs_tol=1e-12)


def _comparison(gate: Gate, name: str, value: float | None, seen: str, champion: Champion | None) -> Iterator[Verdict]:
    """The verdict on `no_worse_than_champion_by`; `seen` is the value in words."""
    margin = gate.no_worse_than_champion_by
    if margin is None:
        return
    asked = f"no worse than the champion's by more than {figure(margin)}"
    theirs = _of_champion(champion, gate.metric)
    if champion is None or theirs is None:
        nobody = "there is no champion" if champion is None else _nothing_of(champion, gate.metric)
        holds = value is not None and gate.without_champion == "pass"
        yield Verdict(name, asked, f"{seen}; {nobody}: {gate.without_champion}", holds)
        return
    asked = f"no worse than {figure(theirs)} of champion {champion.candidate.version} by more than {figure(margin)}"
    holds = value is not None and no_worse(value, theirs, margin, gate.higher_is_better)
    yield Verdict(name, asked, seen, holds)


def _of_champion(champion: Champion | None, metric: str) -> float | None:
    theirs = champion_saw(champion, share.STEP)
    return theirs.metrics.get(metric) if theirs is not None else None


def _nothing_of(champion: Champion, metric: str) -> str:
    theirs = champion_saw(champion, share.STEP)
    odd = theirs.not_numbers.get(metric) if theirs is not None else None
    return f"the champion's is {odd}" if odd else f"the champion has no {metric}"


def _why_missing(metric: str, shared: Shared) -> str:
    if metric in shared.not_numbers:
        return f"{shared.measured_by.get(metric, 'the job')} logged {shared.not_numbers[metric]}"
    if metric in shared.unclear:
        return f"ambiguous, since several runs logged it: {shared.unclear[metric]}"
    left_out = shared.metrics_left_out
    if left_out:
        return f"not among the metrics that were kept ({left_out} were left out)"
    if len(shared.looked_in) > 1:
        return f"not logged by {' or by '.join(shared.looked_in)}"
    # Evidence of older apps does not say where.
    return f"not logged by {shared.looked_in[0]}" if shared.looked_in else "not logged"


def _found(metric: str, value: float, shared: Shared) -> str:
    by = shared.measured_by.get(metric)
    return f"{figure(value)}, logged by {by}" if by else figure(value)


def figure(value: float) -> str:
    return f"{value:.6g}"
