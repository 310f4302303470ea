"""`mlpromote plan`: what would happen to a version."""

from typing import Any

import pytest

from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed, summary
from tests.mlpromote.stub import Answer, StubApp

TAKEN = {
    "size": "Standard_DS3_v2",
    "instances": 2,
    "cores": 12,
    "quota": "DSv2 Family",
    "left": 4,
    "refused": "no room",
}


def planned(**more: Any) -> dict[str, Any]:
    gates = [
        {"step": "validate", "metric": "auc", "settings": {"at_least": 0.8}, "candidate": 0.91, "champion": 0.9},
        {
            "step": "evaluate",
            "metric": "loss",
            "settings": {"no_worse_than_champion_by": 0.01},
            "candidate": None,
            "champion": None,
        },
    ]
    stages = [
        {"name": "test", "champion": None, "queue": ["2"], "hold": None, "gates": [], "capacity": None},
        {
            "name": "prod",
            "champion": "1",
            "queue": [],
            "hold": "held by alice: odd answers",
            "gates": gates,
            "capacity": TAKEN,
        },
    ]
    return {
        "promotion": detailed("running", **more),
        "stages": stages,
        "earlier": [summary("3", "refused")],
        "found": True,
        "missing": None,
    }


def test_a_plan_shows_stages_steps_gates_and_who_must_approve(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(planned()))
    ended = mlpromote("plan", "digits", "3", "--through", "prod")
    assert ended.code == 0
    assert (app.asked[0].path, app.asked[0].query) == ("/api/plans/digits/3", {"through": "prod", "capacity": "true"})
    lines = [line.strip() for line in ended.output.splitlines()]
    for line in (
        "digits/3 on route digits",
        "behind 2",
        "replaces version 1",
        "held by alice: odd answers; release it first",
        "validate: auc at least 0.8 (candidate 0.91, champion 0.9)",
        "evaluate: loss no worse than the champion's by more than 0.01 (measured by",
    ):
        assert line in lines
    assert "quota: takes 2 × Standard_DS3_v2, 12 cores of 4 that are left (DSv2 Family)" in lines
    assert "no room" in lines
    assert "approval: 2 people with Promotion.Approver, not who requested it" in ended.output
    assert "refused" in ended.output
    assert mlpromote("plan", "digits", "3", "--json").document == planned()


def test_a_gate_says_that_the_candidates_figure_is_not_known_yet(mlpromote: CommandLine, app: StubApp) -> None:
    document = planned()
    document["stages"][1]["gates"][0] |= {"candidate": None, "measured": False}
    app.will_answer(Answer(document))
    told = " ".join(mlpromote("plan", "digits/99").output.split())
    assert "auc at least 0.8 (the candidate's figure is not known yet, champion 0.9)" in told
    assert "by more than 0.01 (measured by evaluate)" in told


def test_approvers_by_group_are_named(mlpromote: CommandLine, app: StubApp) -> None:
    document = planned()
    for stage in document["promotion"]["stages"]:
        if stage["approval"]:
            stage["approval"]["groups"] = ["0000-risk"]
    app.will_answer(Answer(document))
    assert "with Promotion.Approver in the group 0000-risk" in " ".join(mlpromote("plan", "digits", "3").output.split())


def test_a_version_that_would_not_be_promoted_is_told_why(mlpromote: CommandLine, app: StubApp) -> None:
    document = planned()
    document["promotion"] |= {"status": "superseded", "reason": "version 4 is newer"}
    app.will_answer(Answer(document))
    assert "it would be superseded: version 4 is newer" in mlpromote("plan", "digits", "3").output


def test_what_is_known_of_whether_the_version_exists_is_said(mlpromote: CommandLine, app: StubApp) -> None:
    def shown(**known: Any) -> str:
        app.will_answer(Answer(planned() | known))
        return " ".join(mlpromote("plan", "digits", "3").output.split())

    missing = "There is no model digits, version 3, in dev, workspace ws-dev"
    assert f"version 3 was not found when it was last looked for. {missing}" in shown(found=False, missing=missing)
    assert "nobody has looked yet whether version 3 exists: validate will" in shown(found=None)
    assert "exists" not in shown(found=True)


def test_a_version_may_be_written_as_everywhere_else(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(planned()))
    assert mlpromote("plan", "digits/3").code == 0
    assert mlpromote("plan", "team/training/job_1").code == 0
    assert [each.path for each in app.asked] == ["/api/plans/digits/3", "/api/plans/team%2Ftraining/job_1"]


@pytest.mark.parametrize("command", [("plan",), ("start", "--reason", "x")])
@pytest.mark.parametrize("said", [("digits",), ("digits", "3", "4")])
def test_anything_else_is_a_usage_error(
    command: tuple[str, ...], said: tuple[str, ...], mlpromote: CommandLine, app: StubApp
) -> None:
    ended = mlpromote(*command, *said)
    assert (ended.code, app.asked) == (2, [])
    assert "Expected MODEL/VERSION, such as churn/3" in ended.errors


def test_a_plan_of_a_pipeline_shows_its_compute_its_data_and_the_model(mlpromote: CommandLine, app: StubApp) -> None:
    document = planned()
    model = {"output": "model", "model": "churn"}
    run = {"compute": "serverless", "inputs": {"rows": "churn:3"}, "registers": model}
    document["stages"][1]["pipeline_run"] = run
    app.will_answer(Answer(document))
    lines = [line.strip() for line in mlpromote("plan", "training", "brave_fox").output.splitlines()]
    assert "runs on compute serverless, with rows: churn:3" in lines
    assert "registers output model as the next version of model churn" in lines


def test_a_plan_of_a_version_that_is_under_way_says_so(mlpromote: CommandLine, app: StubApp) -> None:
    document = planned()
    document["earlier"] = [summary("3", "running")]
    app.will_answer(Answer(document))
    shown = " ".join(mlpromote("plan", "digits", "3").output.split())
    assert f"it is under way: `mlpromote show {document['earlier'][0]['id']}`" in shown
