"""What must hold once everything has settled, whatever died on the way: nothing is lost, doubled, stuck or
orphaned, and traffic, champion and answer agree. Rollouts, rules, waits, moves and reruns have files of their own."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos import move_invariants, rerun_invariants, rollout_invariants, rule_invariants, wait_invariants
from tests.chaos.training import UNVERSIONED
from tests.chaos.world import BY_ITSELF, Answer, Deployment, Endpoint, Line, Promotion, Request, Serving, World


@dataclass(frozen=True)
class Violation:
    """One violation of an invariant."""

    kind: str  #: lost, doubled, stuck, orphaned, disagreeing, unserved, unsafe or unexplained
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def violations(world: World) -> list[Violation]:
    """All violations."""
    return [Violation(kind, text) for kind, check in _CHECKS for text in check(world)]


# --- lost, or done twice ----------------------------------------------------------------------------------------------


def _registrations_without_promotion(world: World) -> Iterator[str]:
    found = _automatic(world)
    for model, version in sorted(world.registered):
        if not found[model, version]:
            yield f"{model} {version} was registered, and no promotion came of it"


def _registrations_with_several_promotions(world: World) -> Iterator[str]:
    for (model, version), number in sorted(_automatic(world).items()):
        if number > 1:
            yield f"{number} promotions came of the registration of {model} {version}"


def _automatic(world: World) -> Counter[tuple[str, str]]:
    return Counter((each.model, each.version) for each in world.promotions if each.requested_by in BY_ITSELF)


def _requests_without_line(world: World) -> Iterator[str]:
    for request in world.requests:
        if request.answer is not Answer.DONE:
            continue
        shown = _shown(world, request)
        if request.promotions is None and not shown:
            yield f"{_named(request)} was answered as done, and no journal shows it"
        for promotion in sorted((request.promotions or frozenset()) - shown.keys()):
            yield f"{_named(request)} was answered as done, and the journal of {promotion} does not show it"


def _requests_with_wrong_lines(world: World) -> Iterator[str]:
    for request in world.requests:
        shown = _shown(world, request)
        for promotion, stages in shown.items():
            for stage, number in stages.items():
                if number > 1:
                    about = f" for {stage}" if stage else ""
                    yield f"{_named(request)} is in the journal of {promotion} {number} times{about}"
        if request.answer is Answer.NOTHING and shown:
            yield f"{_named(request)} was answered as not done, and is in the journal of {', '.join(shown)}"
        if len(shown) > 1 and not request.is_about_several:
            yield f"{_named(request)} is in several journals: {', '.join(shown)}"
        if request.answer is Answer.DONE and request.promotions is not None:
            for promotion in sorted(shown.keys() - request.promotions):
                yield f"{_named(request)} is in the journal of {promotion}, which it was not about"


def _shown(world: World, request: Request) -> dict[str, Counter[str]]:
    """The promotions whose journals show a request, and how often for each stage: it may be about several."""
    shown = {
        each.id: Counter(line.stage for line in each.journal if _is_of(line, request)) for each in world.promotions
    }
    return {promotion: stages for promotion, stages in shown.items() if stages}


def _is_of(line: Line, request: Request) -> bool:
    if line.what != request.what:
        return False
    if line.what == "requested":
        return line.text.endswith(f": {request.reason}")
    return line.text.startswith(f"{request.by}: {request.reason}")


def _named(request: Request) -> str:
    return f"{request.by}'s request {request.reason!r} ({request.what})"


def _steps_done_twice(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        for stage in promotion.stages:
            for attempt, steps in enumerate(_walks(promotion, stage.name), start=1):
                for step, number in steps.items():
                    if number > 1:
                        yield f"{promotion.id} has {stage.name}.{step} done {number} times in attempt {attempt}"


#: Each starts a pass through the plan, forward or back. After it, a step may be done once more.
_BEGINS = ("stage-started", "rolled-back")


def _walks(promotion: Promotion, stage: str) -> Iterator[Counter[str]]:
    """How often each step of a stage was done, by pass."""
    walk: Counter[str] = Counter()
    for line in promotion.journal:
        if line.stage != stage:
            continue
        if line.what in _BEGINS:
            yield walk
            walk = Counter()
        elif line.what == "step-succeeded":
            walk[line.step] += 1
    yield walk


def _deployments_of_one_promotion(world: World) -> Iterator[str]:
    found = Counter(
        (each.promotion, each.stage) for endpoint in world.endpoints for each in endpoint.deployments if each.promotion
    )
    for (promotion, stage), number in sorted(found.items()):
        if number > 1:
            yield f"{promotion} has {number} deployments for {stage}"


def _numbers_that_do_not_fit(world: World) -> Iterator[str]:
    """What was published has the number of its line in the journal, so the numbers have no gaps."""
    for told in set(world.told):
        promotion = world.promotion(told.promotion)
        if promotion is None:
            yield f"line {told.number} of {told.promotion} was published, and there is no such promotion"
        elif told.number > len(promotion.journal):
            yield f"line {told.number} of {told.promotion} was published, and is not in its journal"
        elif promotion.journal[told.number - 1] != told.line:
            there = promotion.journal[told.number - 1]
            yield f"line {told.number} of {told.promotion} was published as {told.line}, and is {there} in its journal"


# --- stuck ------------------------------------------------------------------------------------------------------------


def _promotions_under_way(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        if not promotion.has_ended:
            stages = ", ".join(f"{stage.name} {stage.status}" for stage in promotion.stages)
            yield f"{promotion.id} is still {promotion.status} ({stages})"


def _messages_left(world: World) -> Iterator[str]:
    for queue in world.queues:
        if queue.active or queue.scheduled:
            yield f"{queue.name} has {queue.active} messages left, and {queue.scheduled} that are scheduled"
        for unlisted in sorted(queue.dead - world.listed):
            yield f"the dead letter {unlisted} is not among the failures that the app lists"


def _stages_held(world: World) -> Iterator[str]:
    for each in world.serving:
        if each.is_held:
            yield f"{each.stage} of {each.route}/{each.model} is held though its hold was to be released"


# --- orphaned ---------------------------------------------------------------------------------------------------------


def _deployments_of_nobody(world: World) -> Iterator[str]:
    for endpoint in world.endpoints:
        serving = _serving(world, endpoint)
        for deployment in endpoint.deployments:
            if serving is None:
                yield f"{_place(endpoint, deployment)} belongs to no stage of a lane that the app knows"
            elif deployment.promotion != serving.promotion and not _was_left(world, serving, deployment):
                yield f"{_place(endpoint, deployment)} is not the champion's, and no journal says that it was left"


def left(world: World) -> list[str]:
    """The deployments that are not the champion's, and that a journal says were left."""
    return [
        _place(endpoint, deployment)
        for endpoint in world.endpoints
        if (serving := _serving(world, endpoint)) is not None
        for deployment in endpoint.deployments
        if deployment.promotion != serving.promotion and _was_left(world, serving, deployment)
    ]


def _place(endpoint: Endpoint, deployment: Deployment) -> str:
    return f"deployment {deployment.name} of {endpoint.environment}/{endpoint.name} ({deployment.promotion})"


def _was_left(world: World, serving: Serving, deployment: Deployment) -> bool:
    """Whether a promotion says that the deployment stays: its own, or one that was to replace it."""
    own = world.promotion(deployment.promotion)
    if own is not None and _removal_was_given_up(own, serving.stage):
        return True
    lane = [each for each in world.promotions if (each.route, each.model) == (serving.route, serving.model)]
    stages = [(each, stage) for each in lane if (stage := each.stage(serving.stage)) is not None]
    return any(
        deployment.name in stage.left_alone
        or (deployment.name in stage.others and _last(each, serving.stage, "retire") == "step-failed")
        for each, stage in stages
    )


def _removal_was_given_up(promotion: Promotion, stage: str) -> bool:
    lines = [line.what for line in promotion.journal if line.stage == stage and line.what in (*_BEGINS, "abandoned")]
    return lines[-1:] == ["abandoned"] or _last(promotion, stage, "remove") == "step-failed"


def _last(promotion: Promotion, stage: str, step: str) -> str | None:
    """How a step last ended, in the journal's term."""
    ends = ("step-succeeded", "step-failed", "step-stopped")
    lines = [line.what for line in promotion.journal if (line.stage, line.step) == (stage, step) and line.what in ends]
    return lines[-1] if lines else None


# --- agree ------------------------------------------------------------------------------------------------------------


def _disagreements(world: World) -> Iterator[str]:
    by_name = {(each.environment, each.name): each for each in world.endpoints}
    for serving in world.serving:
        endpoint = by_name.get((serving.environment, serving.endpoint))
        if serving.promotion is None:
            if endpoint is not None and endpoint.traffic:
                yield f"{serving.endpoint} has no champion in {serving.stage}, and its traffic is {endpoint.traffic}"
        elif endpoint is None:
            yield f"version {serving.version} serves {serving.stage}, and there is no endpoint {serving.endpoint}"
        else:
            yield from _disagreement(serving, endpoint)


def _disagreement(serving: Serving, endpoint: Endpoint) -> Iterator[str]:
    where = f"{endpoint.environment}/{endpoint.name}"
    theirs = [each for each in endpoint.deployments if each.promotion == serving.promotion]
    if endpoint.traffic != {each.name: 100 for each in theirs} or len(theirs) != 1:
        said = {each.name: each.promotion for each in endpoint.deployments}
        yield f"the champion of {where} is {serving.promotion}; its traffic is {endpoint.traffic}, of {said}"
    if endpoint.answer not in (serving.version, UNVERSIONED):
        yield f"the champion of {where} is version {serving.version}, and version {endpoint.answer} answers"


def _serving(world: World, endpoint: Endpoint) -> Serving | None:
    wanted = (endpoint.environment, endpoint.name)
    return next((each for each in world.serving if (each.environment, each.endpoint) == wanted), None)


_CHECKS: tuple[tuple[str, Callable[[World], Iterator[str]]], ...] = (
    ("lost", _registrations_without_promotion),
    ("lost", _requests_without_line),
    ("doubled", _registrations_with_several_promotions),
    ("doubled", _requests_with_wrong_lines),
    ("doubled", _steps_done_twice),
    ("doubled", _deployments_of_one_promotion),
    ("doubled", _numbers_that_do_not_fit),
    ("stuck", _promotions_under_way),
    ("stuck", _messages_left),
    ("stuck", _stages_held),
    ("orphaned", _deployments_of_nobody),
    ("disagreeing", _disagreements),
    ("unserved", rollout_invariants.callers_that_failed),
    ("unserved", rollout_invariants.requests_misdirected),
    ("unsafe", rollout_invariants.candidates_that_fail_and_serve),
    ("unsafe", rollout_invariants.breaches_without_consequence),
    ("unexplained", rollout_invariants.ends_without_reason),
    ("unexplained", rollout_invariants.steps_that_broke),
    ("unsafe", rule_invariants.stages_begun_under_a_hold),
    ("lost", rule_invariants.holds_that_are_not_noted),
    ("lost", rule_invariants.publications_that_are_not_listed),
    ("disagreeing", rule_invariants.bundles_that_nobody_published),
    ("disagreeing", rule_invariants.editions_that_are_not_the_promotions),
    ("unsafe", wait_invariants.steps_begun_outside_a_window),
    ("unsafe", wait_invariants.soaks_that_were_cut_short),
    ("unsafe", wait_invariants.soaks_that_another_interrupted),
    ("unsafe", wait_invariants.waits_that_ended_under_a_hold),
    ("unsafe", move_invariants.moves_before_their_step),
    ("unserved", move_invariants.endpoints_that_nobody_served),
    ("unsafe", move_invariants.candidates_that_differ_and_serve),
    ("doubled", rerun_invariants.runs_that_came_too_early),
    ("doubled", rerun_invariants.runs_for_drift_that_were_too_many),
    ("unsafe", rerun_invariants.runs_under_a_hold),
    ("lost", rerun_invariants.slots_that_were_lost),
    ("lost", rerun_invariants.breaches_that_were_lost),
    ("doubled", rerun_invariants.models_made_twice),
    ("lost", rerun_invariants.models_that_were_not_made),
    ("orphaned", rerun_invariants.jobs_that_still_run),
)
