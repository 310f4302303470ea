"""Finds gates that no run can pass, because the source's run has no value to compare with."""

import difflib
from collections.abc import Sequence

from shared.config.pipeline_stage import RunGate
from shared.core.messages import Failed, FailureKind
from shared.worker.pipeline_metrics import Figures

#: So many names of metrics are listed.
_MOST_NAMES = 10


def never_passes(stage: str, gates: Sequence[RunGate], source: Figures) -> Failed | None:
    """Return why the stage's comparison with the source's run can never hold; None if it can.

    Other bounds need nothing of the source, whose run may log other metrics than the run here.
    """
    compared = dict.fromkeys(gate.metric for gate in gates if gate.no_worse_than_source_by is not None)
    missing = [metric for metric in compared if metric not in source.metrics]
    if not missing:
        return None
    return Failed(
        f"`validate` of stage {stage} can never pass, because the source's run has nothing to compare with. "
        f"{' '.join(_why(metric, source) for metric in missing)} Nothing was run. Correct the gate's metric, or log "
        "it in the source's job, and start a new promotion.",
        FailureKind.REFUSED,
    )


def _why(metric: str, source: Figures) -> str:
    why = f"Metric {metric}: {source.why_missing(metric)}"
    if metric in source.not_numbers or metric in source.ambiguous:
        return f"{why}."
    names = sorted(source.metrics)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    logged = f"logged: {', '.join(names[:_MOST_NAMES])}{more}" if names else "no metric was logged"
    return f"{why}; {logged}{_meant(metric, names)}."


def _meant(metric: str, names: Sequence[str]) -> str:
    """Return a hint at the closest name. A difference in upper and lower case counts least."""
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(metric.casefold(), by_folded, n=1)
    return f" (did you mean {by_folded[close[0]]}?)" if close else ""
