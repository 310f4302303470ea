"""A small world for the core's tests: candidates, lanes, and endpoints on which steps have their effects."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.core.events import PromotionRequested
from shared.core.messages import (
    Candidate,
    Failed,
    FailureKind,
    Kind,
    LaneKey,
    Outcome,
    Running,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.plan import PlanSettings, plan_for
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.promotion_ids import promotion_id

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = LaneKey("churn", "churn-eu")
#: A stage with a rollout in two steps.
ROLLING = ("rollout", "watch", "keep")
SHARES = (10, 50)
KEPT_FOR = timedelta(hours=24)
#: What a person gives a challenger, which no step does.
BY_HAND = 33
ONE_STAGE = {"test": ()}
TEST_THEN_PROD = {"test": (), "prod": ("test",)}


def candidate(version: str = "1", kind: Kind = Kind.MODEL) -> Candidate:
    return Candidate(kind, KEY.model, version, "dev", "/subscriptions/d/workspaces/ws-dev")


def promotion(
    version: str = "1",
    stages: Mapping[str, tuple[str, ...]] = TEST_THEN_PROD,
    kind: Kind = Kind.MODEL,
    steps: Collection[str] = (),
    asked: Collection[str] = (),
) -> Promotion:
    """A promotion as a request brings it: `stages` names for each stage those before it; `steps` shortens the
    plans, `asked` are the optional steps."""
    subject = candidate(version, kind)

    def stage(name: str, after: tuple[str, ...]) -> StageRun:
        plan = plan_for(
            kind,
            PlanSettings(
                asked=asked,
                times={"rollout": len(SHARES)},
                delays={"retire": KEPT_FOR} if "keep" in asked else {},
            ),
            environment=name,
            source="dev",
            first=not after,
        )
        return StageRun(
            name, name, f"churn-{name}", after, {}, tuple(StepRun(s) for s in plan if not steps or s.name in steps)
        )

    runs = tuple(stage(name, after) for name, after in stages.items())
    return Promotion(promotion_id(KEY, subject), KEY, subject, runs, "event-grid", "hash", NOW, NOW)


def requested(
    version: str = "1",
    stages: Mapping[str, tuple[str, ...]] = TEST_THEN_PROD,
    steps: Collection[str] = (),
    asked: Collection[str] = (),
) -> PromotionRequested:
    return PromotionRequested(promotion(version, stages, steps=steps, asked=asked))


def answer(command: RunStep, outcome: Outcome | None = None) -> StepReported:
    """The report of a worker that ran the command."""
    return StepReported(
        command.lane,
        command.promotion,
        command.stage,
        command.step,
        command.attempt,
        command.poll,
        outcome or Succeeded({"saw": command.step}),
        environment=command.environment,
    )


REFUSED = Failed("auc 0.70 is below 0.82", FailureKind.REFUSED)
BROKEN = Failed("init() raised KeyError", FailureKind.CONTAINER_CRASH, "Traceback …")


@dataclass(frozen=True)
class Endpoint:
    """Deployments by promotion id, and the one that takes the traffic. One that is being deleted no longer answers."""

    ready: frozenset[str] = frozenset()
    deleting: frozenset[str] = frozenset()
    traffic: str | None = None
    part: tuple[str, int] | None = None  #: another deployment, and the part of the traffic that it takes, in per cent

    @property
    def deployments(self) -> frozenset[str]:
        return self.ready | self.deleting

    @property
    def serving(self) -> frozenset[str]:
        return frozenset(filter(None, (self.traffic, self.part[0] if self.part else None)))


@dataclass(frozen=True)
class Add:
    deployment: str


@dataclass(frozen=True)
class Delete:
    deployment: str


@dataclass(frozen=True)
class GiveTraffic:
    deployment: str | None
    part: tuple[str, int] | None = None


Change = Add | Delete | GiveTraffic
#: It waits for Azure to finish something. Asked again, it may answer differently.
WAIT = Running(timedelta(0), "under way")


@dataclass(frozen=True)
class Azure:
    """What the steps act on. A step first reads and then changes, and anything may happen in between. Azure refuses to
    delete what takes traffic, and to give traffic to what is not ready."""

    endpoints: tuple[tuple[str, Endpoint], ...] = ()
    failing: Mapping[tuple[str, str, str], Failed] = field(default_factory=dict, hash=False)  #: (version, stage, step)
    #: The same, for steps that have their effect first, and then see that it is bad.
    breaching: Mapping[tuple[str, str, str], Failed] = field(default_factory=dict, hash=False)

    def endpoint(self, stage: str) -> Endpoint:
        return dict(self.endpoints).get(stage, Endpoint())

    def with_endpoint(self, stage: str, endpoint: Endpoint) -> "Azure":
        return replace(self, endpoints=tuple(sorted({**dict(self.endpoints), stage: endpoint}.items())))

    def intend(self, command: RunStep) -> Change | Outcome:
        """The step's conclusion from what it reads: the change that it is about to make, or its answer."""
        failure = self.failing.get((command.candidate.version, command.stage, command.step))
        endpoint = self.endpoint(command.stage)
        if failure is not None:
            broken_but_there = command.step == "deploy" and command.promotion not in endpoint.deployments
            return Add(command.promotion) if broken_but_there else failure
        step = _STEPS.get(command.runs)
        intended = step(endpoint, command) if step else Succeeded({"saw": command.step})
        breach = self.breaching.get((command.candidate.version, command.stage, command.step))
        return breach if breach is not None and isinstance(intended, Succeeded) else intended

    def make(self, command: RunStep, change: Change) -> tuple["Azure", Outcome]:
        """The world after the change, and the step's answer."""
        endpoint = self.endpoint(command.stage)
        match change:
            case Add(name):
                endpoint = replace(endpoint, ready=endpoint.ready | {name}, deleting=endpoint.deleting - {name})
            case Delete(name) if name in endpoint.serving:
                return self, BROKEN
            case Delete(name):
                deleting = endpoint.deleting | (endpoint.ready & {name})
                endpoint = replace(endpoint, ready=endpoint.ready - {name}, deleting=deleting)
            case GiveTraffic(name, part):
                endpoint = replace(endpoint, traffic=name, part=part)
                if not endpoint.serving <= endpoint.ready:
                    return self, BROKEN
        after = self.with_endpoint(command.stage, endpoint)
        answer = after.intend(command)
        return after, answer if isinstance(answer, Outcome) else WAIT

    def run(self, command: RunStep) -> tuple["Azure", Outcome]:
        """The world after the step, and the step's answer."""
        intended = self.intend(command)
        return (self, intended) if isinstance(intended, Outcome) else self.make(command, intended)

    def settled(self) -> "Azure":
        """The world once everything that was being deleted is gone."""
        if not any(endpoint.deleting for _, endpoint in self.endpoints):
            return self
        return replace(self, endpoints=tuple((name, replace(e, deleting=frozenset())) for name, e in self.endpoints))


def _deploy(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    return _there(endpoint, command.promotion) or Succeeded({"saw": command.step})


def _remove(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    mine = command.promotion
    if mine not in endpoint.deployments:
        return Succeeded({"saw": command.step})
    if mine in endpoint.deleting:
        return WAIT
    return BROKEN if mine in endpoint.serving else Delete(mine)


def _make_room(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    others = endpoint.deployments - endpoint.serving - {command.promotion, _previous(command)}
    if _previous(command) is None or not others:
        return Succeeded({"saw": command.step})
    return WAIT if others & endpoint.deleting else Delete(min(others))


def _rollout(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    mine, previous, entry = command.promotion, _previous(command), command.options["entry"]
    if previous is None:
        return Succeeded({"saw": command.step})
    before = (mine, SHARES[entry - 2]) if entry > 1 else None
    wanted = (mine, SHARES[entry - 1])
    if mine not in endpoint.ready or endpoint.traffic != previous or endpoint.part not in (before, wanted):
        return BROKEN  # gone, or somebody else has moved the traffic
    if endpoint.part != wanted:
        return BROKEN if command.state else GiveTraffic(previous, wanted)
    return _seen_for_its_time(command)


def _watch(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    return _seen_for_its_time(command) if endpoint.serving == {command.promotion} else BROKEN


def _seen_for_its_time(command: RunStep) -> Outcome:
    """A step that watches needs two polls, of which the second only reads."""
    watched = Running(timedelta(0), "watches", state={"since": "now"}, only_reads=True)
    return Succeeded({"saw": command.step}) if command.state else watched


def _shift(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    mine = command.promotion
    rolled = _previous(command) is not None and any(name.startswith("rollout") for name in command.evidence)
    left = (_previous(command), (mine, SHARES[-1])) if rolled else (_previous(command), None)
    if mine not in endpoint.ready or (endpoint.traffic, endpoint.part) not in ((None, None), (mine, None), left):
        return BROKEN  # gone, or somebody else has moved the traffic
    return _given(endpoint, mine) or Succeeded({"saw": "shift", "others": sorted(endpoint.deployments - {mine})})


def _reinstate(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    previous = _previous(command)
    return (_there(endpoint, previous) if previous else None) or Succeeded({"saw": command.step})


def _restore(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    previous = _previous(command)
    expected = (command.promotion, previous) if previous else (command.promotion,)
    if endpoint.traffic is not None and endpoint.traffic not in expected:
        return Succeeded({"saw": command.step})
    if endpoint.part is not None and endpoint.part[1] == BY_HAND:
        return BROKEN  # it stays where somebody has moved it
    return (
        (_there(endpoint, previous) if previous else None)
        or _given(endpoint, previous)
        or Succeeded({"saw": command.step})
    )


def _retire(endpoint: Endpoint, command: RunStep) -> Change | Outcome:
    mine = command.promotion
    if endpoint.traffic != mine or mine not in endpoint.ready:
        return BROKEN  # somebody else has moved the traffic
    others = (endpoint.deployments - endpoint.serving) & set(command.evidence.get("shift", {}).get("others", ()))
    if others & endpoint.deleting:
        return WAIT
    return Delete(min(others)) if others else Succeeded({"saw": command.step})


def _there(endpoint: Endpoint, name: str) -> Change | Outcome | None:
    """What to do to get the deployment ready; None if it is ready."""
    if name in endpoint.ready:
        return None
    return WAIT if name in endpoint.deleting else Add(name)


def _given(endpoint: Endpoint, name: str | None) -> Change | None:
    return GiveTraffic(name) if (endpoint.traffic, endpoint.part) != (name, None) else None


def _previous(command: RunStep) -> str | None:
    return command.champion.promotion if command.champion else None


_STEPS = {
    "make_room": _make_room,
    "deploy": _deploy,
    "rollout": _rollout,
    "watch": _watch,
    "remove": _remove,
    "shift": _shift,
    "reinstate": _reinstate,
    "restore": _restore,
    "retire": _retire,
}
