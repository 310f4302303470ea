"""Watching a deployment while it takes traffic: for how long, and what becomes of what is seen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.config.analysis import AnalysisSettings
from shared.core.durations import in_words
from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.core.wire import Moment
from shared.ports import ForbiddenError, RejectedError, UnavailableError
from shared.worker import analysis
from shared.worker.analysis import Analysed, Judgement, Kept
from shared.worker.measured import Measured
from shared.worker.target import Target

#: Between two polls: a tenth of the time that is watched, within these limits.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Progress:
    """State for the next poll: the step has found its share in place."""

    since: Moment
    kept: Kept | None = None  #: what the analysis keeps


@dataclass(frozen=True)
class Seen:
    """The part of a step's evidence that is about what it watched."""

    since: Moment | None = None  #: when the share took effect
    live: Analysed | None = None  #: the live figures, and how they were judged
    no_verdict: str = ""  #: why they were not judged completely, in a sentence


@dataclass(frozen=True)
class Watch:
    """What a step watches."""

    says: str  #: what the deployment gets, in words
    lasts: timedelta
    asked: AnalysisSettings
    champion: str | None  #: the deployment that takes the other requests
    counts: bool = True  #: False while the deployment gets only copies of requests
    before: Analysed | None = None  #: what the last step with live traffic saw, if the champion takes none now
    #: Whether the step succeeds without a verdict: too few figures are no reason to go back once everything has moved.
    ends_without_verdict: bool = False


def since(target: Target) -> datetime:
    """Since when the share is known to be in place."""
    progress = target.state(Progress)
    return progress.since if progress is not None else target.command.not_before


def at_own_pace(target: Target) -> Target:
    """The target for a part of the step whose duration says nothing about the step's."""
    return replace(target, command=replace(target.command, expects=None))


def watched(target: Target, watch: Watch, evidence: Any) -> Measured:
    """The step's answer at this poll. `evidence`: a dataclass with a field `seen`, which gets a `Seen`."""
    begun = since(target)
    found = _judged(target, watch, begun, begun + watch.lasts)
    return Measured(_answer(target, watch, found, evidence), found.minutes)


def _answer(target: Target, watch: Watch, found: Judgement, evidence: Any) -> Outcome:
    begun, now = since(target), target.command.not_before
    ends = begun + watch.lasts
    if found.failed is not None and not watch.ends_without_verdict:
        return found.failed
    why = found.failed.reason if found.failed is not None else found.waits
    evidence = as_evidence(replace(evidence, seen=Seen(begun, found.seen, why)))
    if found.breaches:
        return _breached(target, watch, found, evidence)
    if now >= ends and (not found.waits or (watch.ends_without_verdict and found.awaits is None)):
        return Succeeded(evidence)
    says = f"{watch.says} until {ends:%Y-%m-%d %H:%M:%S} UTC"
    if now >= ends:
        says = f"{watch.says}, longer than {in_words(watch.lasts)}: {found.waits}"
    # From here on the step's polls move no traffic (see `rollout`), so a rollback need not wait for the next one. But a
    # poll may submit the job of the analysis.
    state, only_reads = as_evidence(Progress(begun, found.kept)), watch.asked.job is None
    return Running(_pause(watch, now, ends), says, state, found.awaits, only_reads)


def _judged(target: Target, watch: Watch, begun: datetime, ends: datetime) -> Judgement:
    progress = target.state(Progress)
    kept = progress.kept if progress is not None else None
    watched = analysis.Watched(begun, ends, watch.counts, watch.champion, watch.before, kept)
    try:
        return analysis.judged(target, watch.asked, watched)
    except UnavailableError as fault:
        # The metrics may be away for a while. What was read before counts, and the traffic stays where it is.
        if target.command.not_before >= ends and not watch.ends_without_verdict:
            raise
        return Judgement(waits=str(fault), kept=kept or Kept())
    except (ForbiddenError, RejectedError) as fault:
        # Such as a role that was taken away: no figures are no verdict, and no reason to go back.
        if not watch.ends_without_verdict:
            raise
        return Judgement(waits=str(fault), kept=kept or Kept())


def _breached(target: Target, watch: Watch, found: Judgement, evidence: Any) -> Failed:
    breaches = tuple(each.rstrip(". ") for each in found.breaches)
    return Failed(
        f"Refused for {target.command.stage} while {watch.says}: {'; '.join(breaches)}.",
        FailureKind.REFUSED,
        "\n".join(breaches),
        evidence,
    )


def _pause(watch: Watch, now: datetime, ends: datetime) -> timedelta:
    usual = min(max(watch.lasts / 10, SHORTEST_PAUSE), LONGEST_PAUSE)
    return min(usual, ends - now) if now < ends else usual
