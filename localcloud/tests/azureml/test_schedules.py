"""Schedules of jobs and of model monitors: kept, triggered, and with monitors that breach when told to."""

import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, command, dsl
from azure.ai.ml.constants import MonitorDatasetContext, TimeZone
from azure.ai.ml.entities import (
    CronTrigger,
    DataDriftMetricThreshold,
    DataDriftSignal,
    Environment,
    JobSchedule,
    MonitorDefinition,
    MonitorSchedule,
    NumericalDriftMetrics,
    PipelineJob,
    ProductionData,
    ReferenceData,
    ServerlessSparkCompute,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from .conftest import ControlPlane, Plane, until, workspace_id
from .test_events import Topic, topic, workspaces
from .test_jobs import ended

__all__ = ["topic"]
WORKSPACE = workspace_id("ws-dev")
DAILY = CronTrigger(expression="15 10 * * *", time_zone=TimeZone.UTC)
BREACHED = "azureml_modelmonitor_threshold_breached"


def created(cloud: ControlPlane, schedule: JobSchedule | MonitorSchedule) -> Any:
    """Creates or changes a schedule without the SDK's pause of half a minute between two looks."""
    client = cloud.client()
    client.schedules.begin_create_or_update(schedule)
    return until(lambda: _complete(client.schedules.get(str(schedule.name))))


def _complete(schedule: Any) -> Any:
    return schedule.provisioning_state == "Succeeded" and schedule


def job_schedule(cloud: ControlPlane, name: str) -> JobSchedule:
    cloud.client().environments.create_or_update(Environment(name="scheduled", version="1", image="image"))
    write = command(
        command="echo ${{inputs.since}} > ${{outputs.rows}}/since",
        environment="azureml:scheduled:1",
        inputs={"since": Input(type="string")},
        outputs={"rows": Output(type="uri_folder")},
    )

    @dsl.pipeline(None, compute="cpu", experiment_name="scheduled")
    def since(moment: str) -> dict[str, Any]:
        step = write(since=moment)
        return {"rows": step.outputs["rows"]}

    job: PipelineJob = since("${{creation_context.trigger_time}}")
    job.outputs["rows"] = Output(type="uri_folder", name=f"{name}-rows", version="1")
    return JobSchedule(name=name, trigger=DAILY, create_job=job)


def test_a_schedule_of_a_job_is_kept_and_each_trigger_runs_the_job(cloud: ControlPlane, tmp_path: Path) -> None:
    made = created(cloud, job_schedule(cloud, "nightly"))
    assert (made.is_enabled, made.trigger.expression) == (True, "15 10 * * *")
    schedules = cloud.client().schedules
    assert "nightly" in [each.name for each in schedules.list()]
    run = schedules.trigger("nightly", schedule_time="2026-11-21T10:15:00")
    assert ended(cloud, run.job_name) == "Completed"
    job = cloud.client().jobs.get(run.job_name)
    assert job.display_name == "nightly-20261121T101500Z"
    cloud.client().jobs.download(run.job_name, download_path=tmp_path, output_name="rows")
    assert next(tmp_path.rglob("since")).read_text() == "2026-11-21T10:15:00Z\n"
    assert run.job_name in cloud.client().data.get("nightly-rows", "1").path
    listed = cloud.call("GET", f"{WORKSPACE}/jobs?scheduleId=nightly").json()["value"]
    assert [each["name"] for each in listed] == [run.job_name]


def test_a_schedule_is_disabled_before_it_is_deleted(cloud: ControlPlane) -> None:
    schedules = cloud.client().schedules
    created(cloud, job_schedule(cloud, "weekly"))
    with pytest.raises(HttpResponseError, match="Disable it before you delete it"):
        schedules.begin_delete("weekly")
    schedule = schedules.get("weekly")
    schedule._is_enabled = False  # as begin_disable does, which waits
    created(cloud, schedule)
    assert "weekly" not in [each.name for each in schedules.list()]
    assert cloud.call("DELETE", f"{WORKSPACE}/schedules/weekly").status_code == 202
    until(lambda: cloud.call("GET", f"{WORKSPACE}/schedules/weekly").status_code == 404)
    with pytest.raises(ResourceNotFoundError):
        schedules.get("weekly")


def test_a_schedule_of_a_finished_job_runs_it_again(cloud: ControlPlane) -> None:
    client = cloud.client()
    client.environments.create_or_update(Environment(name="scheduled", version="1", image="image"))
    job = command(
        name="once",
        command="echo 1 > ${{outputs.rows}}/number",
        environment="azureml:scheduled:1",
        outputs={"rows": Output(type="uri_folder")},
    )
    first = client.jobs.create_or_update(job)
    assert ended(cloud, "once") == "Completed"
    action = {"actionType": "CreateJob", "jobDefinition": {"jobType": "Command", "sourceJobId": first.id}}
    properties = {"trigger": {"triggerType": "Cron", "expression": "0 0 * * *"}, "action": action}
    path = f"{WORKSPACE}/schedules/again"
    assert cloud.call("PUT", path, json={"properties": properties}).status_code == 201
    name = cloud.call("POST", f"{path}/trigger", json={}).json()["submissionId"]
    assert ended(cloud, name) == "Completed"
    again = {"runId": name}
    found = cloud.call("POST", f"/history/v1.0{WORKSPACE}/rundata", json=again).json()["runMetadata"]
    assert found["outputs"]["rows"]["assetId"] == f"azureml://jobs/{name}/outputs/rows"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, "must be JSON objects"),
        ({"trigger": {}, "action": {"actionType": "ImportData"}}, "only CreateJob and CreateMonitor"),
        ({"trigger": {}, "action": {"actionType": "CreateJob"}}, "jobDefinition must be a JSON object"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused(cloud: ControlPlane, properties: dict[str, Any], words: str) -> None:
    answer = cloud.call("PUT", f"{WORKSPACE}/schedules/none", json={"properties": properties})
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True)


def test_a_monitor_that_breaches_tells_so_with_the_tag_of_a_step(plane: Plane, topic: Topic) -> None:
    topic.open()
    one = plane(workspaces=workspaces(topic))
    data = Input(type="mltable", path=f"{WORKSPACE}/data/rows/versions/1")
    limit = DataDriftMetricThreshold(numerical=NumericalDriftMetrics(jensen_shannon_distance=0.01))
    signals: Any = {
        name: DataDriftSignal(
            production_data=ProductionData(input_data=data, data_context=MonitorDatasetContext.MODEL_INPUTS),
            reference_data=ReferenceData(input_data=data, data_context=MonitorDatasetContext.TRAINING),
            metric_thresholds=limit,
        )
        for name in ("drift", "quality")
    }
    compute = ServerlessSparkCompute(instance_type="standard_e4s_v3", runtime_version="3.4")
    definition = MonitorDefinition(compute=compute, monitoring_signals=signals)
    made = created(one, MonitorSchedule(name="watch", trigger=DAILY, create_monitor=definition))
    assert set(made.create_monitor.monitoring_signals) == {"drift", "quality"}
    one.fault("monitor_breach", match={"path": "*/schedules/watch/signals/drift"})
    schedules = one.client().schedules
    breaching, quiet = schedules.trigger("watch").job_name, schedules.trigger("watch").job_name
    assert [ended(one, name) for name in (breaching, quiet)] == ["Completed", "Completed"]
    until(lambda: len(topic.of_type("RunCompleted")) == 6)
    changes = [event["data"] for event in topic.of_type("RunStatusChanged")]
    (told,) = [each for each in changes if BREACHED in each["runTags"] and each["runStatus"] == "Completed"]
    assert told["runType"] == "azureml.StepRun"
    assert told["runProperties"]["azureml.rootpipelinerunid"] == breaching
    words = "has failed due to one or more features violating metric thresholds"
    assert (told["runTags"][BREACHED], told["runId"] in _children(one, breaching)) == (f"drift {words}", True)


def _children(one: ControlPlane, job: str) -> list[str]:
    return [str(child.name) for child in one.client().jobs.list(parent_job_name=job)]


#: A day goes by in three seconds.
FAST = {"starts": "2026-11-20T10:16:00+00:00", "speed": 28_800}


def test_schedules_run_by_the_clock_and_not_while_they_are_disabled(plane: Plane) -> None:
    one = plane(schedule_clock=FAST)
    created(one, job_schedule(one, "daily"))
    until(lambda: len(_moments(one, "daily")) >= 2)
    first, second = _moments(one, "daily")[:2]
    assert (f"{first:%H:%M:%S}", second - first) == ("10:15:00", timedelta(days=1))
    schedule = one.client().schedules.get("daily")
    schedule._is_enabled = False
    created(one, schedule)
    before = _moments(one, "daily")
    time.sleep(4)  # more than a day: nothing is to happen, so there is nothing to wait for
    assert _moments(one, "daily") == before


def test_after_a_restart_the_clock_goes_on_and_no_moment_runs_twice(plane: Plane) -> None:
    one = plane(schedule_clock=FAST)
    created(one, job_schedule(one, "kept"))
    until(lambda: _moments(one, "kept"))
    one.kill()
    one.start()
    before = _moments(one, "kept")
    until(lambda: len(_moments(one, "kept")) > len(before) >= 1)
    moments = _moments(one, "kept")
    assert moments[: len(before)] == before
    assert all(later > earlier for earlier, later in pairwise(moments))


def _moments(one: ControlPlane, schedule: str) -> list[datetime]:
    """When the schedule's jobs were due, the first one first."""
    jobs = one.call("GET", f"{WORKSPACE}/jobs?scheduleId={schedule}").json()["value"]
    return [datetime.fromisoformat(job["properties"]["inputs"]["moment"]["value"]) for job in reversed(jobs)]


def test_a_schedule_whose_trigger_cannot_be_used_is_refused(cloud: ControlPlane) -> None:
    action = {"actionType": "CreateJob", "jobDefinition": {"jobType": "Command", "command": "true"}}
    properties = {"trigger": {"triggerType": "Cron", "expression": "at noon"}, "action": action}
    answer = cloud.call("PUT", f"{WORKSPACE}/schedules/unusable", json={"properties": properties})
    assert (answer.status_code, "not a cron expression" in answer.text) == (400, True)
    assert cloud.call("GET", f"{WORKSPACE}/schedules/unusable").status_code == 404
