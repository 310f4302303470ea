"""A breach of a model monitor, from the notification of a step of its run to the event of a lane."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.config import Configuration, load
from shared.coordinator import notifications, rerunning
from shared.core.events import Person
from shared.core.lane_notes import Cause
from shared.core.message_bodies import decode, encode
from shared.core.messages import Candidate, Champion, Evidence, JobEnded, Kind, LaneKey, MonitorBreached, RunStep
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.http.refusals import NotThereError
from shared.ports import PromotionFilter
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import InMemoryApp, KeptBus, Running

CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"
BREACHED = "azureml_modelmonitor_threshold_breached"
SAYS = "churn_drift has failed due to one or more features violating metric thresholds"
LANE = LaneKey("churn-training", "churn-training")
SETTINGS = {f"{name.upper()}_WORKSPACE": WORKSPACE.format(name) for name in ("dev", "prod")}
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
    return load(tmp_path / "promotion.yml", SETTINGS)


def of_step(status: str = "Completed", tags: dict[str, str] | None = None, experiment: str = "churn-drift") -> Any:
    """What a workspace reports about the step that evaluates a signal, in Azure and in the local control plane."""
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
    assert event.lane == LANE
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


@pytest.fixture
def app(tmp_path: Path) -> Running:
    """An app in whose store the pipeline has long served prod."""
    (tmp_path / "promotion.yml").write_text(CONFIGURATION, encoding="utf-8")
    files = {
        "MLPROMOTE_CONFIGURATION": str(tmp_path / "promotion.yml"),
        "MLPROMOTE_STORE": str(tmp_path / "promotions.sqlite"),
    }
    running = Running(InMemoryApp(SETTINGS | files, {}), KeptBus())
    running.app.bus = running.bus
    candidate = Candidate(Kind.PIPELINE, "churn-training", "train-7", "dev", WORKSPACE.format("dev"))
    evidence: dict[str, Evidence] = {name: {"x": 1} for name in ("register_components", "inspect", "approve")}
    champion = Champion("first", candidate, datetime.now(UTC) - timedelta(days=40), evidence)
    empty = Lane(LANE)
    running.app.store.save(empty, replace(empty, champions={"prod": champion}), 0, ())
    return running


def requested(app: Running) -> list[str]:
    """By whom promotions were requested, the newest first."""
    found = app.app.store.promotions(PromotionFilter(), 10, None).promotions
    return [promotion.requested_by for promotion in found]


def test_a_breach_becomes_a_promotion_of_the_champion_and_once(app: Running) -> None:
    for _ in range(2):
        data = {"runId": "step", "experimentName": "churn-drift", "runStatus": "Completed", "runTags": {BREACHED: SAYS}}
        app.app.coordinator.intake(WORKSPACE.format("prod"), CHANGED, data)
    for _, body in list(app.bus.messages):
        app.app.coordinator.advance(body)
    assert requested(app) == ["monitor churn-drift"]
    assert {queue for queue, _ in app.bus.messages[2:]} == {"steps-prod"}
    [command] = {decode(body).message_id: decode(body) for _, body in app.bus.messages[2:]}.values()
    assert isinstance(command, RunStep)
    assert command.step == "inspect"


def test_the_timer_starts_what_is_due_and_once(app: Running) -> None:
    app.app.coordinator.start_runs()
    app.app.coordinator.start_runs()
    assert requested(app) == ["the schedule"]


def test_a_person_starts_a_run_and_hears_where_there_is_none_to_start(app: Running) -> None:
    alice = Person("id-of-alice", "alice", ("Promotion.Operator",))
    answer = app.app.requests.run("churn-training", "prod", b'{"reason": "fresh data"}', alice)
    assert answer["promotion"]["version"] == "train-7"
    assert requested(app) == ["alice"]
    with pytest.raises(NotThereError, match=r"no stage test\. Its stages: prod"):
        app.app.requests.run("churn-training", "test", b'{"reason": "x"}', alice)
    with pytest.raises(NotThereError, match="There is no pipeline route churn"):
        app.app.requests.run("churn", "prod", b'{"reason": "x"}', alice)
