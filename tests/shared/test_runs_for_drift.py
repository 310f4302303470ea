"""A breach of a model monitor, from the notification of a step of its run to the event of a lane."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.config import Configuration, load
from shared.coordinator import notifications, rerunning
from shared.core.messages import JobEnded, LaneKey, MonitorBreached, decode, encode
from shared.core.promotion import Cause
from tests.config.right import WORKSPACE

CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"
BREACHED = "azureml_modelmonitor_threshold_breached"
SAYS = "churn_drift has failed due to one or more features violating metric thresholds"
CONFIGURATION = """\
registry: contoso-ml
environments:
  dev: {workspace: "${DEV_WORKSPACE}"}
  prod: {workspace: "${PROD_WORKSPACE}"}
routes:
  churn-training:
    from: dev
    pipelines: {experiment: churn-pipeline}
    stages:
      - environment: prod
        run:
          compute: serverless
          every: 30d
          on_drift: {monitor: "churn-*", cooldown: 7d, at_most: 2 a month}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "promotion.yml").write_text(CONFIGURATION, encoding="utf-8")
    settings = {f"{name.upper()}_WORKSPACE": WORKSPACE.format(name) for name in ("dev", "prod")}
    return load(tmp_path / "promotion.yml", settings)


def of_step(status: str = "Completed", tags: dict[str, str] | None = None, experiment: str = "churn-drift") -> Any:
    """What a workspace tells of the step that evaluates a signal, as the local control plane and Azure do."""
    data = {
        "runId": "step-guid",
        "experimentName": experiment,
        "runType": "azureml.StepRun",
        "runStatus": status,
        "runTags": {BREACHED: SAYS} if tags is None else tags,
        "runProperties": {"azureml.pipelinerunid": "root", "azureml.rootpipelinerunid": "root"},
    }
    return notifications.read(WORKSPACE.format("prod"), CHANGED, data)


@pytest.mark.parametrize("status", ["Completed", "Failed", "Running"])
def test_the_tag_tells_whatever_the_status_of_the_step_and_though_it_is_a_child(status: str) -> None:
    news = of_step(status)
    assert news == MonitorBreached(WORKSPACE.format("prod"), "churn-drift", "root", SAYS, "event-grid")
    assert decode(encode(news)) == news


def test_a_step_without_the_tag_is_left_out_as_any_child() -> None:
    assert of_step(tags={"other": "x"}) is None


def test_a_job_that_nobody_tagged_is_still_a_job() -> None:
    data = {"runId": "job", "experimentName": "e", "runStatus": "Completed", "runTags": {}}
    assert isinstance(notifications.read(WORKSPACE.format("prod"), CHANGED, data), JobEnded)


def test_a_breach_asks_for_a_run_where_the_route_says_so(configuration: Configuration) -> None:
    [event] = rerunning.for_breach(of_step(), configuration)
    assert event.lane == LaneKey("churn-training", "churn-training")
    assert (event.cause, event.pause, event.most_in_month) == (Cause.DRIFT, timedelta(days=7), 2)
    assert (event.requested_by, event.reason) == ("monitor churn-drift", f"{SAYS} (run root)")
    assert [step.plan.name for step in event.stage.steps][:3] == ["register_components", "inspect", "approve"]


def test_another_monitor_or_another_workspace_asks_for_none(configuration: Configuration) -> None:
    assert list(rerunning.for_breach(of_step(experiment="iris-drift"), configuration)) == []
    news = MonitorBreached(WORKSPACE.format("dev"), "churn-drift", "root", SAYS, "event-grid")
    assert list(rerunning.for_breach(news, configuration)) == []


def test_a_schedule_asks_with_its_pause(configuration: Configuration) -> None:
    [event] = rerunning.scheduled(configuration)
    assert (event.cause, event.pause, event.stage.after) == (Cause.SCHEDULE, timedelta(days=30), ())
