"""What must hold of pipelines that run again: each slot of the schedule and each breach once, and none is lost."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from tests.chaos.training import AGAIN_ROUTE
from tests.chaos.world import Breach, Hold, Promotion, World

STAGE = "prod"
#: As `team/promotion.yml` has them.
EVERY, COOLDOWN, MOST_FOR_DRIFT = timedelta(seconds=30), timedelta(seconds=20), 30
#: By then, the notification of a breach has arrived, whatever was killed.
ARRIVES_WITHIN = timedelta(seconds=90)
#: So much later than its slot a run begins at most: hosts die, and the timer looks every ten seconds.
RUNS_WITHIN = timedelta(seconds=120)
SCHEDULE, MONITOR = "the schedule", "monitor "


def runs_that_came_too_early(world: World) -> Iterator[str]:
    """A schedule counts from the last run, whatever asked for it, and from when the champion came."""
    runs = sorted(_runs(world), key=_asked)
    for promotion in runs:
        if promotion.requested_by != SCHEDULE:
            continue
        at = _asked(promotion)
        for other in runs:
            if other.id != promotion.id and at - EVERY < _asked(other) <= at:
                yield f"{promotion.id} ran by schedule at {at}, and {other.id} had run at {_asked(other)}"
        for other, crowned in _crowned(world):
            if at - EVERY < crowned < at and not _rolled_back_between(other, crowned, at):
                yield f"{promotion.id} ran by schedule at {at}, and {other.id} had come to serve at {crowned}"


def slots_that_were_lost(world: World) -> Iterator[str]:
    """While the schedule was published, something served, and nothing was held."""
    asked = [_asked(each) for each in _runs(world)]
    crowned = [at for _, at in _crowned(world)]
    for since, until in world.scheduled:
        known = [at for at in (*asked, *crowned) if at < until]
        begins = max([since, *crowned[:1]])
        moments = sorted([begins, *(at for at in known if at > begins), until])
        for before, after in pairwise(moments if crowned and begins < until else []):
            if after - before > EVERY + RUNS_WITHIN and not _was_held(world, before, after):
                yield f"nothing ran by schedule from {before} to {after}"


def _was_held(world: World, since: datetime, until: datetime) -> bool:
    """Whether something may have held the pipeline in this time."""
    return any(
        hold.since <= until and (hold.until is None or hold.until >= since)
        for hold in (*world.may_hold, *_holds_of_rollbacks(world))
        if hold.covers(AGAIN_ROUTE, AGAIN_ROUTE, STAGE)
    )


def runs_for_drift_that_were_too_many(world: World) -> Iterator[str]:
    runs = sorted(filter(_is_for_drift, _runs(world)), key=_asked)
    for promotion, following in pairwise(runs):
        if _asked(following) - _asked(promotion) < COOLDOWN:
            yield f"{following.id} ran for drift {_asked(following) - _asked(promotion)} after {promotion.id}"
    if len(runs) > MOST_FOR_DRIFT:
        yield f"{len(runs)} runs for drift in a month, and {MOST_FOR_DRIFT} are allowed"


def runs_under_a_hold(world: World) -> Iterator[str]:
    """Neither a schedule nor drift runs what is held."""
    for promotion in _runs(world):
        by_itself = promotion.requested_by == SCHEDULE or _is_for_drift(promotion)
        for hold in world.holds if by_itself else ():
            at = _asked(promotion)
            is_held = hold.since + timedelta(seconds=5) <= at and (hold.until is None or at < hold.until)
            if is_held and hold.covers(AGAIN_ROUTE, promotion.model, STAGE):
                yield f"{promotion.id} ran again at {at} under the hold {hold}"


def breaches_that_were_lost(world: World) -> Iterator[str]:
    runs = [each for each in _runs(world) if _is_for_drift(each)]
    for breach in world.breaches:
        since, until = breach.at - COOLDOWN, breach.at + ARRIVES_WITHIN
        named = any(f"(run {breach.run})" in each.journal[0].text for each in runs)
        nearby = any(since <= _asked(each) <= until for each in runs)
        if named or nearby or len(runs) >= MOST_FOR_DRIFT or _may_be_ignored(world, breach):
            continue
        yield f"run {breach.run} of the monitor found drift at {breach.at}, and nothing ran for it"


def _may_be_ignored(world: World, breach: Breach) -> bool:
    """Whether nothing could run: nothing served, something held it, or its message waits for somebody to replay it."""
    until = breach.at + ARRIVES_WITHIN
    served = any(crowned < breach.at for _, crowned in _crowned(world))
    dead = any(queue.dead for queue in world.queues if queue.name == "promotion-events")
    return not served or _was_held(world, breach.at, until) or dead


def _holds_of_rollbacks(world: World) -> Iterator[Hold]:
    for promotion in _lane(world):
        since: datetime | None = None
        for line in promotion.journal:
            if line.what in ("rolled-back", "cancelled"):
                since = since or line.at
            elif line.what == "released" and since is not None:
                yield Hold((AGAIN_ROUTE, "", ""), since, line.at)
                since = None
        if since is not None:
            yield Hold((AGAIN_ROUTE, "", ""), since, None)


def models_made_twice(world: World) -> Iterator[str]:
    for promotion, number in sorted(Counter(promotion for _, promotion in world.made).items()):
        if number > 1:
            named = [model for model, each in world.made if each == promotion]
            yield f"{promotion} has registered {number} models: {', '.join(named)}"


def models_that_were_not_made(world: World) -> Iterator[str]:
    made = {promotion for _, promotion in world.made}
    for promotion in _lane(world):
        if promotion.status == "succeeded" and promotion.id not in made:
            yield f"{promotion.id} has succeeded, and no model names it"


def jobs_that_still_run(world: World) -> Iterator[str]:
    for name in world.unfinished:
        yield f"job {name} of prod still runs though nothing is under way"


def _lane(world: World) -> list[Promotion]:
    return [each for each in world.promotions if each.route == AGAIN_ROUTE]


def _runs(world: World) -> list[Promotion]:
    """Those that ran again."""
    return [each for each in _lane(world) if " runs again, by " in each.journal[0].text]


def _is_for_drift(promotion: Promotion) -> bool:
    return promotion.requested_by.startswith(MONITOR)


def _asked(promotion: Promotion) -> datetime:
    return promotion.journal[0].at


def _crowned(world: World) -> Iterator[tuple[Promotion, datetime]]:
    for promotion in _lane(world):
        for line in promotion.journal:
            if (line.what, line.stage, line.step) == ("step-succeeded", STAGE, "register_model"):
                yield promotion, line.at


def _rolled_back_between(promotion: Promotion, since: datetime, until: datetime) -> bool:
    return any(line.what == "rolled-back" and since <= line.at <= until for line in promotion.journal)
