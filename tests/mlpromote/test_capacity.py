"""What a promotion takes, as people see it before they approve."""

from typing import Any

from mlpromote.capacity import capacity_lines, in_short
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed
from tests.mlpromote.stub import Answer, StubApp
from tests.mlpromote.test_approvals import ID, REQUEST

TAKEN: dict[str, Any] = {
    "size": "Standard_DS3_v2",
    "instances": 3,
    "cores": 16,
    "beside": [{"name": "v2-old", "size": "Standard_DS3_v2", "instances": 3, "cores": 16}],
    "cores_together": 32,
    "quota": "Standard DSv2 Family Cluster Dedicated vCPUs",
    "left": 40,
    "unknown": "",
    "cost": 0.75,
    "cost_together": 1.5,
    "currency": "EUR",
}
LINES = [
    "takes 3 × Standard_DS3_v2",
    "16 cores of 40 that are left (Standard DSv2 Family Cluster Dedicated vCPUs)",
    "32 cores while both run",
    "0.75 EUR an hour, 1.50 while both run",
]


def test_instances_cores_and_cost_are_told_for_the_new_deployment_and_for_both() -> None:
    assert list(capacity_lines(TAKEN)) == LINES
    assert in_short(TAKEN) == ", ".join(LINES)


def test_what_runs_alone_is_told_once_and_what_is_unknown_is_told_as_such() -> None:
    alone = {"size": "Standard_DS3_v2", "instances": 3, "cores": 16, "beside": [], "unknown": "no right to read it"}
    assert list(capacity_lines(alone)) == ["takes 3 × Standard_DS3_v2", "16 cores", "unknown: no right to read it"]


OF_JOBS: dict[str, Any] = {
    "size": "Standard_DS3_v2",
    "instances": 2,
    "cores": 8,
    "cluster": "batch-cluster",
    "most_nodes": 2,
    "quota": "Standard DSv2 Family Cluster Dedicated vCPUs",
    "left": 40,
    "unknown": "",
    "cost": 0.5,
    "currency": "EUR",
}


def test_of_a_batch_deployment_what_a_job_takes_is_told() -> None:
    assert list(capacity_lines(OF_JOBS)) == [
        "takes nothing while no job runs",
        "a job takes 2 × Standard_DS3_v2 of cluster batch-cluster, which has at most 2",
        "8 cores of 40 that are left (Standard DSv2 Family Cluster Dedicated vCPUs)",
        "0.50 EUR an hour while a job runs",
    ]
    assert "jobs may have to wait for nodes" in capacity_lines({**OF_JOBS, "left": 4})


def test_of_a_batch_deployment_what_is_unknown_is_told_in_words() -> None:
    unknown = {"size": "S", "instances": 2, "cluster": "c", "unknown": "no right to read it"}
    assert list(capacity_lines(unknown)) == [
        "takes nothing while no job runs",
        "a job takes 2 × S of cluster c",
        "unknown: no right to read it",
    ]
    assert list(capacity_lines({"cluster": "c", "unknown": "The workspace has no cluster c."})) == [
        "unknown: The workspace has no cluster c."
    ]


def test_what_is_removed_first_is_named_with_what_is_left_then() -> None:
    lines = list(capacity_lines({**TAKEN, "removed_first": ["v1-kept"]}))
    assert lines[1] == (
        "16 cores of 40 that are left once v1-kept is removed (Standard DSv2 Family Cluster Dedicated vCPUs)"
    )


def test_a_promotion_that_waits_for_approval_is_shown_with_what_it_will_take(
    mlpromote: CommandLine, app: StubApp
) -> None:
    document = detailed()
    steps = document["stages"][1]["steps"]
    steps.insert(0, {**steps[0], "name": "check_capacity", "status": "succeeded", "evidence": TAKEN})
    app.will_answer(Answer(document))
    text = " ".join(mlpromote("show", ID).output.split())
    assert all(line in text for line in LINES)


def test_an_alert_is_shown_with_the_promotion_that_serves(mlpromote: CommandLine, app: StubApp) -> None:
    alert = {"stage": "prod", "rule": "slow", "text": "P95 612", "at": "2026-11-20T12:00:00+00:00", "resolved": None}
    app.will_answer(Answer(detailed(alerts=[alert])))
    text = " ".join(mlpromote("show", ID).output.split())
    assert "not resolved: slow: P95 612" in text


def test_an_environments_own_app_shows_what_it_will_take(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [{**REQUEST, "shown": {**REQUEST["shown"], "capacity": TAKEN}}]}))
    text = " ".join(mlpromote("approvals").output.split())
    assert all(line in text for line in LINES)
