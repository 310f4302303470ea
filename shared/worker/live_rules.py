"""Judges a candidate's live figures against its limits and against the champion's. Pure.

1. Both are judged by the same minutes. Once the champion takes no traffic, by its figures from the last step in which
   it did.
2. No figures are no verdict, and so are figures of fewer than `min_requests` requests, of either.
3. But an error rate is too high as soon as it would still be with only good answers up to `min_requests`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.config.analysis import MetricAnalysis
from shared.config.limits import Limit, Unit
from shared.worker.live_figures import Summary

ERROR_RATE = "error_rate"


class Result(StrEnum):
    """What became of a bound."""

    PASSED = "passed"
    BREACHED = "breached"
    UNKNOWN = "no verdict"  #: not enough figures yet
    NOT_COMPARED = "not compared"  #: there is nothing to compare with


@dataclass(frozen=True)
class Finding:
    """The result of one bound, with its figures."""

    metric: str
    asked: str
    found: str
    result: Result


@dataclass(frozen=True)
class Compared:
    """What the candidate is compared with."""

    champion: Summary | None = None
    is_earlier: bool = False  #: the champion's figures are of an earlier step


def findings(
    asked: Iterable[MetricAnalysis], candidate: Summary, compared: Compared, min_requests: int
) -> list[Finding]:
    """The result of every bound, also after one was breached."""
    found = []
    for entry in asked:
        if entry.limit is not None:
            says = f"at most {shown(entry.limit, entry.unit)}"
            found.append(_finding(entry, candidate, entry.limit, says, min_requests))
        if entry.margin is not None:
            found.append(_comparison(entry, entry.margin, candidate, compared, min_requests))
    return found


def shown(value: float, unit: Unit) -> str:
    """A figure for people."""
    match unit:
        case Unit.FRACTION:
            return f"{value * 100:.3g} %"
        case Unit.MILLISECONDS:
            return f"{value:.4g} ms"
        case Unit.PERCENT:
            return f"{value:.3g} %"


def _finding(entry: MetricAnalysis, candidate: Summary, limit: float, says: str, min_requests: int) -> Finding:
    value = candidate.figure(entry.metric)
    if value is None:
        return Finding(entry.metric, says, "no figures", Result.UNKNOWN)
    found = f"{shown(value, entry.unit)} of {candidate.requests:.6g} requests"
    if entry.metric == ERROR_RATE and exceeds(candidate.errors, limit * max(candidate.requests, min_requests)):
        return Finding(entry.metric, says, found, Result.BREACHED)
    if candidate.requests < min_requests:
        return Finding(entry.metric, says, found, Result.UNKNOWN)
    return Finding(entry.metric, says, found, Result.BREACHED if exceeds(value, limit) else Result.PASSED)


def _comparison(
    entry: MetricAnalysis, margin: Limit, candidate: Summary, compared: Compared, min_requests: int
) -> Finding:
    by = f"{margin.value * 100:.4g} %" if margin.relative else shown(margin.value, entry.unit)
    champion = compared.champion
    if champion is None:
        return Finding(entry.metric, f"no worse than the champion by {by}", "there is no champion", Result.NOT_COMPARED)
    theirs = champion.figure(entry.metric)
    if theirs is None or champion.requests < min_requests:
        says = f"no worse than the champion by {by}"
        has = "no figures" if theirs is None else f"only {champion.requests:.6g} requests"
        result = Result.NOT_COMPARED if compared.is_earlier else Result.UNKNOWN
        return Finding(entry.metric, says, f"the champion has {has}", result)
    when = f", until {champion.until:%H:%M}" if compared.is_earlier else ""
    says = f"no worse than the champion's {shown(theirs, entry.unit)} by {by}{when}"
    return _finding(entry, candidate, margin.above(theirs), says, min_requests)


def exceeds(value: float, limit: float) -> bool:
    """Whether a figure is above a limit."""
    # 0.1 * 3 is a little more than 0.3 in binary; nobody means that.
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-12)
