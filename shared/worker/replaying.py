"""Thin traffic: sends requests that the champion's data collector recorded to the candidate, and compares the answers.

Only numbers leave this file. The requests are production data, and so are the answers.

Azure's record does not say how long an answer took. Where a latency is compared with the champion's, the champion gets
the same requests too, and both are measured here.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.config.analysis import AnalysisSettings, MetricAnalysis, ReplaySettings
from shared.config.limits import Unit
from shared.core.wire import Moment
from shared.ports import Answer, RecordedRequest, UnavailableError
from shared.worker.live_rules import Finding, Result, exceeds, shown
from shared.worker.smoke_file import difference
from shared.worker.target import Target

#: Seconds that the answers of one poll may take together.
MOST_SECONDS = 60.0
#: Azure's answer to more requests than a deployment takes at once.
_TOO_MANY = 429

#: Latencies are counted in classes, each 10 % above the one before, so that a quantile is within 5 %.
_GROWTH = math.log(1.1)
_QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}

Classes = Mapping[str, int]  #: number of answers by class of their latency


@dataclass(frozen=True)
class Progress:
    """How far a replay is: what the step keeps for its next poll."""

    before: Moment  #: requests that were recorded before then are sent, and live figures count until then
    recorded: int = 0  #: usable requests that were found
    unusable: int = 0
    sent: int = 0
    errors: int = 0
    different: int = 0
    latencies: Classes = field(default_factory=dict)
    of_champion: Classes = field(default_factory=dict)
    is_done: bool = False


@dataclass(frozen=True)
class Replayed:
    """What a replay came to."""

    requests: int
    unusable: int  #: recorded requests that could not be sent: too long, not JSON, or without an answer
    errors: int
    different: int  #: answers that differ from the recorded ones
    latency_p50: float | None = None  #: milliseconds, measured by the worker
    latency_p95: float | None = None
    latency_p99: float | None = None
    champion_p50: float | None = None  #: of the same requests; None if they were not compared
    champion_p95: float | None = None
    champion_p99: float | None = None


def continued(target: Target, asked: AnalysisSettings, champion: str, so_far: Progress) -> Progress:
    """Send the next requests, for a minute at most. Raises the port's errors if none could be sent."""
    settings = asked.replay or ReplaySettings()
    recording = target.workspace.recorded_requests(target.endpoint, champion, so_far.before, settings.requests)
    progress = replace(so_far, recorded=len(recording.requests), unusable=recording.unusable)
    left = recording.requests[progress.sent :]
    begun, seconds = progress.sent, 0.0
    try:
        for recorded, ours, theirs in _asked(target, champion if _compares_latency(asked) else None, left):
            if ours.status == _TOO_MANY:
                return progress
            progress = _with(progress, recorded, ours, theirs, settings.tolerance)
            seconds += ours.seconds + (theirs.seconds if theirs else 0.0)
            if seconds > MOST_SECONDS:
                break
    except UnavailableError:
        if progress.sent == begun:
            raise
        return progress
    return replace(progress, is_done=progress.sent >= progress.recorded)


def outcome(progress: Progress) -> Replayed:
    ours = [_quantile(progress.latencies, share) for share in _QUANTILES.values()]
    theirs = [_quantile(progress.of_champion, share) for share in _QUANTILES.values()]
    return Replayed(progress.sent, progress.unusable, progress.errors, progress.different, *ours, *theirs)


def findings(asked: AnalysisSettings, progress: Progress) -> Iterator[Finding]:
    """The result of every bound on the replayed requests."""
    for entry in asked.metrics:
        yield from _of_metric(entry, progress)
    limit = asked.replay.limit if asked.replay else None
    if limit is not None:
        found = f"{progress.different} of {progress.sent} replayed requests"
        breached = exceeds(progress.different, limit * progress.sent)
        says = f"at most {shown(limit, Unit.FRACTION)} different answers"
        yield Finding("answers", says, found, Result.BREACHED if breached else Result.PASSED)


def _of_metric(entry: MetricAnalysis, progress: Progress) -> Iterator[Finding]:
    if entry.metric == "error_rate":
        # The recorded requests were all answered, so the champion's rate is 0.
        value: float | None = progress.errors / progress.sent if progress.sent else None
        theirs: float | None = 0.0
    elif entry.metric in _QUANTILES:
        share = _QUANTILES[entry.metric]
        value, theirs = _quantile(progress.latencies, share), _quantile(progress.of_champion, share)
    else:
        yield Finding(entry.metric, "", "not measured by a replay", Result.NOT_COMPARED)
        return
    for says, limit in _limits(entry, theirs):
        if value is None or limit is None:
            yield Finding(entry.metric, says, "no figures of replayed requests", Result.UNKNOWN)
            continue
        found = f"{shown(value, entry.unit)} of {progress.sent} replayed requests"
        yield Finding(entry.metric, says, found, Result.BREACHED if exceeds(value, limit) else Result.PASSED)


def _limits(entry: MetricAnalysis, theirs: float | None) -> Iterator[tuple[str, float | None]]:
    if entry.limit is not None:
        yield f"at most {shown(entry.limit, entry.unit)}", entry.limit
    if entry.margin is not None and theirs is not None:
        highest = entry.margin.above(theirs)
        yield f"no more than {shown(highest, entry.unit)}, as the champion allows", highest
    elif entry.margin is not None:
        yield "no worse than the champion", None


def _asked(
    target: Target, champion: str | None, left: Iterable[RecordedRequest]
) -> Iterator[tuple[RecordedRequest, Answer, Answer | None]]:
    """Each request with the candidate's answer, and the champion's if it is asked too. Requests are sent one by one."""
    requests = list(left)
    bodies = [each.request for each in requests]
    ours = target.workspace.score(target.endpoint, target.deployment, bodies)
    if champion is None:
        yield from ((each, answer, None) for each, answer in zip(requests, ours, strict=False))
        return
    theirs = target.workspace.score(target.endpoint, champion, bodies)
    yield from zip(requests, ours, theirs, strict=False)


def _with(
    progress: Progress, recorded: RecordedRequest, ours: Answer, theirs: Answer | None, tolerance: float
) -> Progress:
    is_error = ours.status != 200
    differs = not is_error and bool(difference(recorded.answer, _content(ours.body), tolerance))
    return replace(
        progress,
        sent=progress.sent + 1,
        errors=progress.errors + is_error,
        different=progress.different + differs,
        latencies=_counted(progress.latencies, ours),
        of_champion=_counted(progress.of_champion, theirs) if theirs is not None else progress.of_champion,
    )


def _compares_latency(asked: AnalysisSettings) -> bool:
    return any(each.metric in _QUANTILES and each.margin is not None for each in asked.metrics)


def _content(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _counted(classes: Classes, answer: Answer) -> Classes:
    name = str(round(math.log(max(answer.seconds * 1000, 0.1)) / _GROWTH))
    return {**classes, name: classes.get(name, 0) + 1}


def _quantile(classes: Classes, share: float) -> float | None:
    """The latency in milliseconds that this share of the answers does not exceed."""
    wanted, found = share * sum(classes.values()), 0
    for number in sorted(map(int, classes)):
        found += classes[str(number)]
        if found >= wanted:
            return round(math.exp(number * _GROWTH), 1)
    return None
