"""Judges how a candidate behaves while it takes traffic. The steps of a rollout call `judged` at each poll.

A step passes its moments in `Watched`, keeps `Judgement.kept` for its next poll, and hands on `Judgement.minutes` with
its answer (`shared.worker.measured.Measured`). Then:

- `failed`: the analysis could not be made. The step's answer.
- `breaches`: sentences that say what is wrong. The step fails, and its effect is undone.
- `waits`: why there is no verdict yet. Poll again; if `awaits` is set, also when that job has ended.
- none of them, and the step's time is over: it has passed. `seen` is its evidence.

Time is that of the command, `not_before`: never later than now.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from shared.config import durations
from shared.config.analysis import AnalysisSettings, JobAnalysis
from shared.core.live_minute import LiveMinute
from shared.core.messages import AwaitedJob, Failed, Running
from shared.core.wire import Moment
from shared.ports import LiveFigures
from shared.worker import analysis_job, jobs, live_figures, live_rules, replaying
from shared.worker.evaluation import Evaluated
from shared.worker.live_figures import LONGEST, Summary, Window
from shared.worker.live_rules import Compared, Finding, Result
from shared.worker.replaying import Replayed
from shared.worker.steps.validate import still_as_validated
from shared.worker.target import Target

#: Minutes that one report carries.
MOST_MINUTES = 120
_RESOURCES = ("cpu", "memory")


@dataclass(frozen=True)
class Analysed:
    """What a step saw of the live figures: the minutes that were judged, and the results."""

    candidate: Summary | None = None
    champion: Summary | None = None
    findings: tuple[Finding, ...] = ()
    requests: float = 0.0  #: that the candidate answered during the whole step
    notes: tuple[str, ...] = ()  #: what was not judged, and why
    replay: Replayed | None = None  #: if it got too few requests, and recorded ones were sent
    job: Evaluated | None = None  #: what the job measured that compares the answers


@dataclass(frozen=True)
class Kept:
    """What the analysis keeps for the step's next poll."""

    told_until: Moment | None = None  #: minutes from before were reported
    replay: replaying.Progress | None = None
    job: str = ""  #: name of the job that is under way


@dataclass(frozen=True)
class Watched:
    """What a step watches."""

    since: Moment  #: when the candidate's share of the traffic took effect
    ends: Moment  #: when the step's time is over
    counts: bool = True  #: False while the candidate gets only copies of requests, which may not show in the figures
    champion: str | None = None  #: the deployment that takes the other requests; None if there is none
    before: Analysed | None = None  #: what the last step with live traffic saw, if the champion takes none now
    kept: Kept | None = None  #: what the last poll kept


@dataclass(frozen=True)
class Judgement:
    """What one poll found; see the top of this file."""

    breaches: tuple[str, ...] = ()
    waits: str = ""
    seen: Analysed = field(default_factory=Analysed)
    kept: Kept = field(default_factory=Kept)
    minutes: tuple[LiveMinute, ...] = ()  #: that were not reported yet
    awaits: AwaitedJob | None = None
    failed: Failed | None = None


def judged(target: Target, asked: AnalysisSettings, watched: Watched) -> Judgement:
    """Read the live figures and judge them. Raises the port's errors, such as while the metrics cannot be read."""
    if not asked.analysis:
        return Judgement()
    now = target.command.not_before
    figures = _read(target, asked, watched, now)
    minutes, told_until = _not_reported(target, watched, figures)
    before = watched.kept or Kept()
    found = Judgement(
        seen=_analysed(target, asked, watched, figures), kept=replace(before, told_until=told_until), minutes=minutes
    )
    found = _with_breaches(found)
    if not found.breaches:
        found = _decided_by_figures(target, found, asked, watched, figures.candidate.grain)
    if asked.job is None or found.breaches or found.waits or now < watched.ends:
        return found
    return _decided_by_job(target, found, asked.job, watched)


def _with_breaches(found: Judgement) -> Judgement:
    breaches = (_sentence(each, found.seen) for each in found.seen.findings if each.result is Result.BREACHED)
    return replace(found, breaches=tuple(breaches))


@dataclass(frozen=True)
class _Figures:
    """The figures of one step."""

    window: Window  #: the complete minutes
    candidate: LiveFigures
    champion: LiveFigures


def _read(target: Target, asked: AnalysisSettings, watched: Watched, now: datetime) -> _Figures:
    since, until = max(watched.since, now - LONGEST), now - asked.metrics_delay
    if watched.kept is not None and watched.kept.replay is not None:
        until = min(until, watched.kept.replay.before)  # our own requests do not count
    resources = any(each.metric in _RESOURCES for each in asked.metrics)
    window = Window(since, max(since, until))

    def of(deployment: str | None) -> LiveFigures:
        if deployment is None or until <= since:
            return LiveFigures()
        found = target.workspace.live_figures(target.endpoint, deployment, since, until, resources)
        return window.of(found)

    return _Figures(window, of(target.deployment), of(watched.champion))


def _analysed(target: Target, asked: AnalysisSettings, watched: Watched, figures: _Figures) -> Analysed:
    window = figures.window.judged(figures.candidate, asked.min_requests)
    candidate = live_figures.summary(target.deployment, figures.candidate, window)
    if watched.champion is not None:
        compared = Compared(live_figures.summary(watched.champion, figures.champion, window))
    else:
        compared = Compared(watched.before.champion if watched.before else None, is_earlier=True)
    results = live_rules.findings(asked.metrics, candidate, compared, asked.min_requests)
    in_all = live_figures.summary(target.deployment, figures.candidate, figures.window).requests
    return Analysed(candidate, compared.champion, tuple(results), in_all)


def _decided_by_figures(
    target: Target, found: Judgement, asked: AnalysisSettings, watched: Watched, grain: timedelta
) -> Judgement:
    """Decide what follows if no bound was breached: a verdict, a wait, or what `too_few` says."""
    if not watched.counts:
        return found
    now = target.command.not_before
    few = found.seen.requests < asked.min_requests
    unknown = [each.metric for each in found.seen.findings if each.result is Result.UNKNOWN]
    if not few and not unknown:
        return found
    lacks = _too_few(found.seen, asked) if few else f"there is no verdict on {' and '.join(dict.fromkeys(unknown))}"
    # The step's last minutes must be complete before it had too few requests, and a short step needs a whole minute.
    if now < max(watched.ends, watched.since + grain) + asked.metrics_delay + grain:
        late = f"figures of the last {durations.text(asked.metrics_delay)} do not count yet"
        return replace(found, waits=f"{lacks}; {late}")
    if few and asked.too_few == "pass":
        return replace(found, seen=replace(found.seen, notes=(f"{lacks}; `too_few` is pass",)))
    if few and asked.too_few == "fail":
        return replace(found, breaches=(f"{lacks}.",))
    if few and asked.too_few == "replay":
        return _decided_by_replay(target, found, asked, watched, lacks)
    if now < watched.ends + asked.wait_at_most:
        return replace(found, waits=lacks)
    return replace(found, breaches=(f"{lacks}, {durations.text(asked.wait_at_most)} after the end of the step.",))


def _decided_by_replay(
    target: Target, found: Judgement, asked: AnalysisSettings, watched: Watched, lacks: str
) -> Judgement:
    """Send recorded requests, and judge what they show. The few live requests broke no bound."""
    now, champion = target.command.not_before, watched.champion
    if champion is None:
        return replace(found, breaches=(f"{lacks}, and there is no champion whose requests could be replayed.",))
    progress = found.kept.replay or replaying.Progress(before=now)
    if not progress.is_done:
        progress = replaying.continued(target, asked, champion, progress)
    found = replace(found, kept=replace(found.kept, replay=progress))
    if not progress.is_done and now < watched.ends + asked.wait_at_most:
        return replace(found, waits=f"{lacks}: replayed {progress.sent} of {progress.recorded} recorded requests")
    if not progress.sent:
        return replace(found, breaches=(_nothing_recorded(champion, lacks, progress),))
    seen = replace(
        found.seen,
        findings=tuple(replaying.findings(asked, progress)),
        replay=replaying.outcome(progress),
        notes=(f"{lacks}: judged by {progress.sent} recorded requests instead",),
    )
    return _with_breaches(replace(found, seen=seen))


def _nothing_recorded(champion: str, lacks: str, progress: replaying.Progress) -> str:
    if progress.recorded:
        return f"{lacks}, and the candidate took none of {progress.recorded} recorded requests: too many at once."
    if progress.unusable:
        why = f"none of the {progress.unusable} requests that deployment {champion} recorded is JSON with an answer"
    else:
        why = f"deployment {champion} has recorded none: its deployment file needs a data_collector"
    return f"{lacks}, and there are no requests to replay: {why} with the collections request and response."


def _decided_by_job(target: Target, found: Judgement, asked: JobAnalysis, watched: Watched) -> Judgement:
    """Run the job that compares the answers, and judge its metrics."""
    earlier = watched.before.champion.deployment if watched.before and watched.before.champion else ""
    champion = watched.champion or earlier
    if asked.names_champion and not champion:
        return _noted(found, f"{asked.job} was not run: there is no champion")
    answer = analysis_job.evaluated(target, asked, champion, found.kept.job, partial(_changed, target))
    if isinstance(answer, Failed):
        return replace(found, failed=answer)
    if isinstance(answer, Running):
        begun = jobs.name_of(target.command)
        return replace(found, waits=answer.says, awaits=answer.awaits, kept=replace(found.kept, job=begun))
    refused = tuple(
        f"{each.gate} of job {answer.job}: required {each.asked}, found {each.seen}"
        for each in answer.gates
        if not each.holds
    )
    return replace(found, breaches=refused, seen=replace(found.seen, job=answer))


def _noted(found: Judgement, note: str) -> Judgement:
    return replace(found, seen=replace(found.seen, notes=(*found.seen.notes, note)))


def _changed(target: Target) -> Failed | None:
    found = still_as_validated(target)
    return found if isinstance(found, Failed) else None


def _too_few(seen: Analysed, asked: AnalysisSettings) -> str:
    name = seen.candidate.deployment if seen.candidate else "The candidate"
    return f"deployment {name} answered only {seen.requests:.6g} of {asked.min_requests} requests"


def _period(judged: Summary) -> str:
    """With seconds only where the minutes are the same: metrics of a local cloud may be finer than Azure's."""
    clock = "%H:%M" if judged.until - judged.since >= timedelta(minutes=1) else "%H:%M:%S"
    return f"{judged.since:{clock}} to {judged.until:{clock}}"


def _sentence(finding: Finding, seen: Analysed) -> str:
    candidate = seen.candidate if seen.replay is None else None
    when = f" from {_period(candidate)} UTC" if candidate else ""
    return f"{finding.metric}{when}: required {finding.asked}, found {finding.found}"


def _not_reported(
    target: Target, watched: Watched, figures: _Figures
) -> tuple[tuple[LiveMinute, ...], datetime | None]:
    """The next minutes to report, the oldest first, and the time until which all are reported then."""
    before = watched.kept.told_until if watched.kept else None
    of_both = (target.deployment, figures.candidate), (watched.champion or "", figures.champion)
    new = [
        (each.at + found.grain, live_figures.kept(name, each))
        for name, found in of_both
        for each in found.minutes
        if before is None or each.at >= before
    ]
    told = sorted(new, key=lambda each: each[0])[:MOST_MINUTES]
    return tuple(minute for _, minute in told), told[-1][0] if told else before
