"""A stage's rollout: its settings, what is wrong with them, and the plan that follows from them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml

from shared.config import Configuration, ConfigurationFaults, StageSettings
from shared.core.messages import Kind
from shared.core.plan import PlanSettings, plan_for
from tests.config.right import changed

Configured = Callable[..., Configuration]

BARE: dict[str, Any] = {"environment": "prod", "endpoint": "{model}", "deployment": "d.yml"}
STEPS = [{"mirror": 20, "for": "10m"}, {"traffic": 10, "for": "15m"}, {"traffic": 50, "for": "30m"}]
ROLLOUT: dict[str, Any] = {"steps": STEPS, "watch": "2h", "keep": "24h"}


def stage(**rollout: Any) -> StageSettings:
    return StageSettings.parse({**BARE, "rollout": {**ROLLOUT, **rollout}})


def names(settings: StageSettings) -> list[str]:
    return [step.name for step in planned(settings) if not step.informs]


def planned(settings: StageSettings) -> Any:
    rollout = settings.rollout
    return plan_for(
        Kind.MODEL,
        PlanSettings(
            asked=settings.asks_for(),
            limits=settings.limits(),
            times=rollout.times() if rollout else {},
            delays=rollout.delays() if rollout else {},
        ),
        environment="prod",
        source="dev",
        first=False,
    )


def test_a_rollout_is_steps_of_the_plan_between_smoke_and_shift() -> None:
    assert names(stage()) == [
        *("validate", "make_room", "deploy", "smoke", "rollout-1", "rollout-2", "rollout-3", "shift", "watch", "retire")
    ]
    assert names(StageSettings.parse(BARE)) == ["validate", "deploy", "smoke", "shift", "retire"]
    only_kept = StageSettings.parse({**BARE, "rollout": {"keep": "1h"}})
    assert names(only_kept) == ["validate", "make_room", "deploy", "smoke", "shift", "retire"]


def test_each_step_has_its_own_time_limit_and_the_way_back_of_the_shift() -> None:
    plan = {step.name: step for step in planned(stage(metrics_delay="1m", wait_at_most="1h"))}
    beside = timedelta(minutes=1) + timedelta(hours=1) + timedelta(minutes=30)
    limits = {"rollout-1": timedelta(minutes=10), "rollout-3": timedelta(minutes=30), "watch": timedelta(hours=2)}
    assert {name: plan[name].limit - beside for name in limits} == limits
    assert plan["rollout-2"].undo == plan["shift"].undo == ("reinstate", "restore")
    assert [plan[f"rollout-{n}"].options["entry"] for n in (1, 2, 3)] == [1, 2, 3]
    assert (plan["retire"].delay, plan["rollout-1"].uses) == (timedelta(hours=24), "rollout")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": [{"mirror": 51, "for": "1m"}]}, "mirror must be 1 to 50: Azure ML copies at most half"),
        ({"steps": [{"mirror": 0, "for": "1m"}]}, "mirror must be 1 to 50"),
        ({"steps": [{"traffic": 100, "for": "1m"}]}, "leave out 100, which follows the last step by itself"),
        ({"steps": [{"traffic": 0, "for": "1m"}]}, "traffic must be 1 to 99"),
        ({"steps": [{"traffic": 10, "mirror": 10, "for": "1m"}]}, "needs either mirror or traffic"),
        ({"steps": [{"for": "1m"}]}, "needs either mirror or traffic"),
        ({"steps": [{"traffic": 10}]}, "Field required"),
        ({"steps": [{"traffic": True, "for": "1m"}]}, "must be a number, not true or false"),
        ({"steps": [*STEPS[1:], STEPS[0]]}, "step 3 mirrors requests after a step with live traffic"),
        ({"steps": [STEPS[1], STEPS[1]]}, "step 2 has 10 % of the traffic, and the step before it 10 %"),
        ({"steps": [STEPS[2], STEPS[1]]}, "give each step more than the one before"),
        ({"keep": "1h"}, "keep must be at least as long as watch, 2h"),
        ({"keep": None}, "keep must be at least as long as watch, 2h"),
        ({"steps": [], "watch": None, "keep": None}, "needs steps, watch or keep"),
    ],
)
def test_what_azure_refuses_is_said_before_anything_begins(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stage(**changes)


@pytest.mark.parametrize("name", ["rollout", "watch"])
def test_times_of_the_rollout_are_not_set_twice(name: str) -> None:
    with pytest.raises(ValueError, match="follows from the times in rollout"):
        StageSettings.parse({**BARE, "timeouts": {name: "1h"}})


def test_settings_stay_the_same_on_their_way_to_a_worker() -> None:
    assert StageSettings.parse(stage().frozen()) == stage()


def test_faults_are_found_in_the_file(configured: Configured) -> None:
    text = changed(("        smoke: {", "        rollout: {steps: [{mirror: 60, for: 1m}]}\n        smoke: {"))
    with pytest.raises(Exception, match=r"rollout.steps\[0\]: mirror must be 1 to 50"):
        configured(text)
    settings = configured(text.replace("60", "50")).routes["churn"].stages[0]
    assert isinstance(settings, StageSettings)
    assert settings.rollout is not None


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        (
            "{keep: 1h, analysis: [{metric: error_rate, at_most: 0}]}",
            "rollout.analysis: nothing is looked at without `steps` or `watch`; add one of them, or remove this",
        ),
        ("{keep: 1h, too_few: fail}", "rollout.too_few: applies only with `analysis`; add that, or remove this"),
        ("{keep: 1h, min_requests: 7}", "rollout.min_requests: applies only with `analysis`; add that, or remove this"),
    ],
)
def test_settings_that_would_do_nothing_are_faults_of_the_file_and_not_of_a_promotion_under_way(
    configured: Configured, rollout: str, said: str
) -> None:
    text = changed(("        smoke: {", f"        rollout: {rollout}\n        smoke: {{"))
    with pytest.raises(ConfigurationFaults) as refusal:
        configured(text)
    assert [str(fault) for fault in refusal.value.faults] == [f"routes.churn.stages[0].{said}"]
    under_way = {**BARE, "rollout": yaml.safe_load(rollout)}
    assert StageSettings.parse(under_way).rollout is not None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "{metric: eror_rate, at_most: 0}",
            "metric: must be 'error_rate', 'latency_p50', 'latency_p95', 'latency_p99', 'cpu' or 'memory', not the "
            "text 'eror_rate'; did you mean error_rate?",
        ),
        (
            "{job: jobs/a.yml, gates: [{metric: a, at_leats: 1}]}",
            "gates[0].at_leats: unknown key; did you mean at_least?",
        ),
    ],
)
def test_a_fault_of_an_analysis_is_at_the_place_of_its_key(configured: Configured, entry: str, said: str) -> None:
    rollout = f"{{steps: [{{traffic: 5, for: 1m}}], analysis: [{entry}]}}"
    text = changed(("        smoke: {", f"        rollout: {rollout}\n        smoke: {{"))
    with pytest.raises(ConfigurationFaults) as refusal:
        configured(text)
    assert [str(fault) for fault in refusal.value.faults] == [f"routes.churn.stages[0].rollout.analysis[0].{said}"]
