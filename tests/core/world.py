"""A small world for the core's tests: candidates, lanes, and endpoints on which steps have their effects."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.core.lane import PromotionRequested, decide, due
from shared.core.messages import (
    Candidate,
    Failed,
    FailureKind,
    Kind,
    LaneKey,
    Outcome,
    Retry,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.plan import plan_for
from shared.core.promotion import Lane, Promotion, StageRun, StepRun, promotion_id

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = LaneKey("churn", "churn-eu")
TEST_THEN_PROD = {"test": (), "prod": ("test",)}


def candidate(version: str = "1", kind: Kind = Kind.MODEL) -> Candidate:
    return Candidate(kind, KEY.model, version, "dev", "/subscriptions/d/workspaces/ws-dev")


def promotion(
    version: str = "1",
    stages: Mapping[str, tuple[str, ...]] = TEST_THEN_PROD,
    kind: Kind = Kind.MODEL,
    steps: Collection[str] = (),
    left_out: Collection[str] = ("approve",),
) -> Promotion:
    """A promotion as a request brings it: `stages` names for each stage those before it; `steps` shortens the plans."""
    subject = candidate(version, kind)

    def stage(name: str, after: tuple[str, ...]) -> StageRun:
        plan = plan_for(kind, environment=name, source="dev", first=not after, limits={}, left_out=left_out)
        return StageRun(
            name, name, f"churn-{name}", after, {}, tuple(StepRun(s) for s in plan if not steps or s.name in steps)
        )

    runs = tuple(stage(name, after) for name, after in stages.items())
    return Promotion(promotion_id(KEY, subject), KEY, subject, runs, "event-grid", "hash", NOW, NOW)


def requested(
    version: str = "1",
    stages: Mapping[str, tuple[str, ...]] = TEST_THEN_PROD,
    steps: Collection[str] = (),
    left_out: Collection[str] = ("approve",),
) -> PromotionRequested:
    return PromotionRequested(promotion(version, stages, steps=steps, left_out=left_out))


def answer(command: RunStep, outcome: Outcome | None = None) -> StepReported:
    """The report of a worker that ran the command."""
    return StepReported(
        command.lane,
        command.promotion,
        command.stage,
        command.step,
        command.attempt,
        command.look,
        outcome or Succeeded({"saw": command.step}),
        environment=command.environment,
    )


REFUSED = Failed("auc 0.70 is below 0.82", FailureKind.REFUSED)
BROKEN = Failed("init() raised KeyError", FailureKind.CONTAINER_CRASH, "Traceback …")


@dataclass(frozen=True)
class Endpoint:
    """Deployments by promotion id, and the one that takes all traffic."""

    deployments: frozenset[str] = frozenset()
    traffic: str | None = None


@dataclass(frozen=True)
class Azure:
    """What the steps act on. Each step is idempotent, as the real ones are."""

    endpoints: tuple[tuple[str, Endpoint], ...] = ()
    failing: Mapping[tuple[str, str, str], Failed] = field(default_factory=dict, hash=False)  #: (version, stage, step)

    def endpoint(self, stage: str) -> Endpoint:
        return dict(self.endpoints).get(stage, Endpoint())

    def _put(self, stage: str, endpoint: Endpoint) -> "Azure":
        return replace(self, endpoints=tuple(sorted({**dict(self.endpoints), stage: endpoint}.items())))

    def run(self, command: RunStep) -> tuple["Azure", Outcome]:
        """The world after the step, and the step's answer."""
        endpoint = self.endpoint(command.stage)
        failure = self.failing.get((command.candidate.version, command.stage, command.step))
        if failure is not None:
            if command.step == "deploy":  # a deployment that fails is there, and is broken
                endpoint = replace(endpoint, deployments=endpoint.deployments | {command.promotion})
            return self._put(command.stage, endpoint), failure
        effect = _EFFECTS.get(command.step)
        changed = effect(endpoint, command) if effect else endpoint
        if not isinstance(changed, Endpoint):
            return self, changed
        others = sorted(endpoint.deployments - {command.promotion})
        return self._put(command.stage, changed), Succeeded({"saw": command.step, "others": others})


def _deploy(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    return replace(endpoint, deployments=endpoint.deployments | {command.promotion})


def _remove(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    if endpoint.traffic == command.promotion:
        return Retry(timedelta(0), "it still takes traffic")
    return replace(endpoint, deployments=endpoint.deployments - {command.promotion})


def _shift(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    expected = (None, command.promotion, _previous(command))
    if command.promotion not in endpoint.deployments or endpoint.traffic not in expected:
        return BROKEN  # gone, or somebody else has moved the traffic
    return replace(endpoint, traffic=command.promotion)


def _reinstate(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    previous = _previous(command)
    return replace(endpoint, deployments=endpoint.deployments | frozenset({previous} if previous else ()))


def _restore(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    previous = _previous(command)
    if endpoint.traffic != command.promotion:
        return endpoint
    return BROKEN if previous and previous not in endpoint.deployments else replace(endpoint, traffic=previous)


def _retire(endpoint: Endpoint, command: RunStep) -> Endpoint | Outcome:
    if endpoint.traffic != command.promotion:
        return Retry(timedelta(0), "traffic goes elsewhere")
    others = frozenset(command.evidence.get("shift", {}).get("others", ()))
    return replace(endpoint, deployments=endpoint.deployments - others)


def _previous(command: RunStep) -> str | None:
    return command.champion.promotion if command.champion else None


_EFFECTS = {
    "deploy": _deploy,
    "remove": _remove,
    "shift": _shift,
    "reinstate": _reinstate,
    "restore": _restore,
    "retire": _retire,
}


def drive(lane: Lane, event: PromotionRequested, azure: Azure) -> tuple[Lane, Azure]:
    """Decide and run until nothing is in flight, all at once and in order."""
    lane = decide(lane, event, NOW).lane
    for turn in range(200):
        commands = due(lane)
        if not commands:
            return lane, azure
        azure, outcome = azure.run(commands[0])
        lane = decide(lane, answer(commands[0], outcome), NOW + timedelta(seconds=turn)).lane
    raise AssertionError("the lane does not come to rest")
