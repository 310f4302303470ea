"""Gates: what must hold of a candidate before anything is deployed. Pure: decided on evidence gathered before."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.config.stage import Gate
from shared.core.messages import Champion, Evidence

#: Azure ML's word for a job that came to a good end.
COMPLETED = "Completed"


@dataclass(frozen=True)
class Verdict:
    """How one gate was decided, with its figures."""

    gate: str
    asked: str
    seen: str
    holds: bool

    def as_evidence(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    gates: Sequence[Gate], require_tags: Mapping[str, str], shared: Evidence, champion: Champion | None
) -> list[Verdict]:
    """All gates, none left out after the first that does not hold. `shared` is the evidence of the step `share`."""
    verdicts = [_tag(name, value, shared.get("tags") or {}) for name, value in sorted(require_tags.items())]
    job = shared.get("job")
    if job or gates:
        verdicts.append(_finished(job))
    for gate in gates:
        verdicts += _metric(gate, shared, champion)
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in columns, for people."""
    rows = [("gate", "asked", "seen", "holds")]
    rows += [(each.gate, each.asked, each.seen, "yes" if each.holds else "NO") for each in verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _tag(name: str, value: str, tags: Mapping[str, str]) -> Verdict:
    seen = tags.get(name)
    return Verdict(f"tag {name}", value, "no such tag" if seen is None else seen, seen == value)


def _finished(job: Mapping[str, Any] | None) -> Verdict:
    if not job:
        return Verdict("training job", COMPLETED, "the model has no job, so no metrics either", False)
    status = job.get("status") or "the job is gone"
    return Verdict("training job", COMPLETED, status, status == COMPLETED)


def _metric(gate: Gate, shared: Evidence, champion: Champion | None) -> list[Verdict]:
    name = f"metric {gate.metric}"
    value = _value(shared, gate.metric)
    seen = _figure(value) if value is not None else _why_missing(shared)
    verdicts = []
    if gate.at_least is not None:
        holds = value is not None and value >= gate.at_least
        verdicts.append(Verdict(name, f"at least {_figure(gate.at_least)}", seen, holds))
    if gate.at_most is not None:
        holds = value is not None and value <= gate.at_most
        verdicts.append(Verdict(name, f"at most {_figure(gate.at_most)}", seen, holds))
    if gate.no_worse_than_champion_by is not None:
        verdicts.append(_comparison(gate, gate.no_worse_than_champion_by, name, value, seen, champion))
    return verdicts


def _comparison(
    gate: Gate, margin: float, name: str, value: float | None, seen: str, champion: Champion | None
) -> Verdict:
    asked = f"no worse than the champion's by more than {_figure(margin)}"
    theirs = _value(champion.evidence.get("share", {}), gate.metric) if champion else None
    if champion is None or theirs is None:
        nobody = "there is no champion" if champion is None else f"the champion has no {gate.metric}"
        return Verdict(
            name,
            asked,
            f"{seen}; {nobody}: {gate.without_champion}",
            value is not None and gate.without_champion == "pass",
        )
    asked = f"no worse than {_figure(theirs)} of champion {champion.candidate.version} by more than {_figure(margin)}"
    if value is None:
        return Verdict(name, asked, seen, False)
    worse = theirs - value if gate.higher_is_better else value - theirs
    # 0.9 - 0.895 is a little more than 0.005 in binary; nobody means that.
    return Verdict(name, asked, seen, worse <= margin or math.isclose(worse, margin, rel_tol=1e-9, abs_tol=1e-12))


def _value(shared: Evidence, metric: str) -> float | None:
    value = (shared.get("metrics") or {}).get(metric)
    return float(value) if isinstance(value, (int, float)) else None


def _why_missing(shared: Evidence) -> str:
    left_out = shared.get("metrics_left_out")
    return f"not among the metrics kept ({left_out} were left out)" if left_out else "not logged"


def _figure(value: float) -> str:
    return f"{value:.6g}"
