"""What a new step needs: its file, its line in the plan, its settings, its test. Nothing else knows its name. The step
in this test warms up a deployment with a number of requests, a few at each poll.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.config.stage import ModelStage, StageSettings
from shared.core.events import PromotionRequested
from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded, as_evidence
from shared.core.plan import PlannedStep, undo_of
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.wire import from_json
from shared.worker.order import Rules, Step
from shared.worker.polls import poll_again
from shared.worker.run import Workplace, run_step
from shared.worker.target import Target
from tests.core.driver import SECOND, LaneDriver
from tests.core.world import KEY, promotion
from tests.fakes.workspace import FakeWorkspace

# --- the step's file --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WarmUp:
    """The options of one of these steps in the plan."""

    requests: int


@dataclass(frozen=True)
class Sent:
    """Its state for the next poll."""

    requests: int


@dataclass(frozen=True)
class Warm:
    """Its evidence."""

    requests: int
    polls: int


def run(target: Target) -> Outcome:
    if target.options(WarmUp).requests > 100:
        return Failed("too many requests", FailureKind.REFUSED)
    before = target.state(Sent) or Sent(0)
    sent = Sent(min(before.requests + 4, target.options(WarmUp).requests))
    if sent.requests < target.options(WarmUp).requests:
        return poll_again(target.command, f"sent {sent.requests}", sent)
    return Succeeded(as_evidence(Warm(sent.requests, target.command.poll)))


def cool(target: Target) -> Outcome:
    return Succeeded(as_evidence(Warm(0, target.command.poll)))


WARM_UP = Step("warm-up", run, Warm, Target)
COOL_DOWN = Step("cool-down", cool, Warm, Target)
KNOWN = {step.name: step for step in (WARM_UP, COOL_DOWN)}

# --- its lines in a plan ----------------------------------------------------------------------------------------------


def warming(name: str, requests: int) -> PlannedStep:
    options = as_evidence(WarmUp(requests))
    return PlannedStep(name, "prod", uses="warm-up", options=options, undo=("cool-down",))


def with_plan(*plan: PlannedStep) -> Promotion:
    stage = StageSettings(environment="prod", endpoint="churn-prod", deployment="deployment.yml")
    settings = ModelStage(stage=stage).frozen()
    run = StageRun("prod", "prod", "churn-prod", (), settings, tuple(map(StepRun, plan)))
    return replace(promotion("1"), stages=(run,))


def carried_out(lane: Lane, asked: Promotion, folder: Path) -> Promotion:
    """The promotion once core and worker have run it to its end."""

    def answers(command: RunStep) -> Outcome:
        at = Workplace(lambda _: FakeWorkspace(), lambda _: Rules(), folder, lambda: driver.now)
        return run_step(command, at, KNOWN)

    driver = LaneDriver(lane, answers, pause=SECOND)
    driver.apply(PromotionRequested(asked))
    (ended,) = driver.run().promotions
    return ended


def test_a_step_stands_twice_in_a_plan_with_options_of_its_own_and_hands_state_to_its_next_poll(tmp_path: Path) -> None:
    ended = carried_out(Lane(KEY), with_plan(warming("few", 4), warming("many", 10)), tmp_path)
    assert ended.status is PromotionStatus.SUCCEEDED
    few, many = (from_json(Warm, step.evidence) for step in ended.stages[0].steps)
    assert (few, many) == (Warm(4, polls=1), Warm(10, polls=3))
    assert [step.state for step in ended.stages[0].steps] == [{}, {}]


def test_steps_of_one_kind_share_their_undo_which_runs_once(tmp_path: Path) -> None:
    ended = carried_out(Lane(KEY), with_plan(warming("few", 4), warming("too-many", 101)), tmp_path)
    assert ended.status is PromotionStatus.REFUSED
    assert [(step.plan.name, step.status) for step in ended.stages[0].undoing] == [("cool-down", StepStatus.SUCCEEDED)]


def test_options_that_lack_a_field_are_refused_with_its_name(tmp_path: Path) -> None:
    ended = carried_out(Lane(KEY), with_plan(PlannedStep("warm", "prod", uses="warm-up")), tmp_path)
    assert ended.status is PromotionStatus.FAILED
    assert "WarmUp: Object missing required field `requests`" in ended.reason


def test_an_undo_takes_the_step_s_own_limits_and_environment() -> None:
    (undo,) = undo_of(warming("few", 4))
    assert (undo.name, undo.environment, undo.limit) == ("cool-down", "prod", timedelta(minutes=30))
