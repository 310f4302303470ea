from typing import Any

import pytest

from shared.core.messages import Champion, Failed, FailureKind, Succeeded
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, SHARED, Stage, champion

AT_LEAST = {"metric": "accuracy", "at_least": 0.9}


def compared(margin: float = 0.01, without: str = "pass", **more: Any) -> dict[str, Any]:
    return {"metric": "accuracy", "no_worse_than_champion_by": margin, "without_champion": without, **more}


CHAMPION_SHARED = {**SHARED, "metrics": {"accuracy": 0.96, "loss": 0.1}}


@pytest.mark.parametrize(
    ("gate", "holds"),
    [
        ({"metric": "accuracy", "at_least": 0.95}, True),
        ({"metric": "accuracy", "at_least": 0.951}, False),
        ({"metric": "accuracy", "at_least": 0.9}, True),
        ({"metric": "loss", "at_most": 0.2}, True),
        ({"metric": "loss", "at_most": 0.25}, True),
        ({"metric": "loss", "at_most": 0.19}, False),
        ({"metric": "accuracy", "at_least": 0.9, "at_most": 0.94}, False),
        (compared(0.01), True),
        (compared(0.009), False),
        ({**compared(0.1, higher_is_better=False), "metric": "loss"}, True),
        ({**compared(0.09, higher_is_better=False), "metric": "loss"}, False),
        ({"metric": "recall", "at_least": 0}, False),
        ({**compared(without="pass"), "metric": "recall"}, False),
    ],
)
def test_a_gate_holds_or_refuses_by_its_figures(
    stage: Stage, workspace: FakeWorkspace, gate: dict[str, Any], holds: bool
) -> None:
    at = stage.with_settings(validate=[gate]).with_(champion=champion(share=CHAMPION_SHARED))
    outcome = at.run("validate", workspace)
    assert isinstance(outcome, Succeeded if holds else Failed)
    assert outcome.evidence["gates"][-1]["holds"] is holds


@pytest.mark.parametrize(("choice", "holds"), [("pass", True), ("fail", False)])
@pytest.mark.parametrize("other", [None, champion(share={**SHARED, "metrics": {"f1": 1.0}})])
def test_without_a_champion_to_compare_with_the_configured_choice_counts(
    stage: Stage, workspace: FakeWorkspace, choice: str, holds: bool, other: Champion | None
) -> None:
    at = stage.with_settings(validate=[compared(without=choice)]).with_(champion=other)
    assert isinstance(at.run("validate", workspace), Succeeded if holds else Failed)


def test_a_refusal_says_all_gates_with_their_figures(stage: Stage, workspace: FakeWorkspace) -> None:
    at = stage.with_settings(
        require_tags={"promote": "yes", "owner": "me"}, validate=[AT_LEAST, {"metric": "loss", "at_most": 0.1}]
    )
    outcome = at.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert outcome.evidence["gates"] == [
        {"gate": "tag owner", "asked": "me", "seen": "no such tag", "holds": False},
        {"gate": "tag promote", "asked": "yes", "seen": "true", "holds": False},
        {"gate": "training job", "asked": "Completed", "seen": "Completed", "holds": True},
        {"gate": "metric accuracy", "asked": "at least 0.9", "seen": "0.95", "holds": True},
        {"gate": "metric loss", "asked": "at most 0.1", "seen": "0.2", "holds": False},
    ]
    assert "metric loss: required at most 0.1, found 0.2" in outcome.reason
    assert outcome.diagnosis.splitlines()[0].split() == ["gate", "required", "found", "passed"]
    assert "metric loss      at most 0.1   0.2          NO" in outcome.diagnosis


def test_a_refusal_calls_nothing(stage: Stage, workspace: FakeWorkspace) -> None:
    stage.with_settings(validate=[{"metric": "accuracy", "at_least": 1}]).run("validate", workspace)
    assert not workspace.calls


@pytest.mark.parametrize(
    ("job", "gates", "holds"),
    [
        ({"name": "j", "status": "Failed"}, [], False),
        ({"name": "j", "status": "Running"}, [AT_LEAST], False),
        ({"name": "j"}, [], False),
        (None, [], True),
        (None, [AT_LEAST], False),
    ],
)
def test_the_training_job_must_have_finished_if_there_is_one_or_metrics_are_asked_for(
    stage: Stage, workspace: FakeWorkspace, job: dict[str, str] | None, gates: list[dict[str, Any]], holds: bool
) -> None:
    at = stage.with_settings(validate=gates).with_(evidence={"share": {**SHARED, "job": job}})
    assert isinstance(at.run("validate", workspace), Succeeded if holds else Failed)


def test_it_changes_nothing(stage: Stage, workspace: FakeWorkspace) -> None:
    first = stage.run("validate", workspace)
    assert isinstance(first, Succeeded)
    assert stage.run("validate", workspace) == first
    assert not [method for method in workspace.calls if method.startswith("start_")]


def test_a_metric_that_was_left_out_of_the_evidence_is_distinguished_from_one_not_logged(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    at = stage.with_settings(validate=[{"metric": "recall", "at_least": 0.5}])
    outcome = at.with_(evidence={"share": {**SHARED, "metrics_left_out": 7}}).run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert "7 were left out" in outcome.reason


def test_a_missing_deployment_file_is_found_out_before_anything_is_spent(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    (stage.folder / "deployment.yml").unlink()
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert "deployment.yml" in outcome.reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "smoke.jsonl does not exist"),
        ("", "no smoke requests"),
        ("{", "line 1 is not JSON"),
        ('{"request": 1}\n[]', 'line 2 is not an object with a "request"'),
        ('\n{"request": 1, "expects": 2}', "line 2 has unknown keys: expects"),
        ('{"request": 1, "tolerance": -1}', "tolerance"),
        ('{"request": 1, "tolerance": true}', "tolerance"),
        ('{"request": 1}\n' * 1001, "1001 smoke requests"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_wrong_smoke_file_is_found_out_before_anything_is_spent(
    stage: Stage, workspace: FakeWorkspace, content: str | bytes | None, said: str
) -> None:
    file = stage.folder / "smoke.jsonl"
    file.unlink()
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert said in outcome.reason


def test_an_endpoint_that_someone_else_made_is_a_conflict(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, {"mlpromote.route": "another"})
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "Choose another `endpoint`" in outcome.reason


def test_our_own_endpoint_is_welcome(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS)
    assert isinstance(stage.run("validate", workspace), Succeeded)


def test_a_registry_model_that_this_environment_cannot_see_is_not_found(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.registry.models.clear()
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND


def test_a_registry_model_of_another_origin_is_a_conflict(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_copy("digits", "3", "azureml://elsewhere")
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT


def test_settings_of_another_version_are_refused_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    outcome = stage.with_settings(canary={"percent": 10}).run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert "Start a new promotion" in outcome.reason


def test_a_registry_that_is_out_of_reach_is_seen_before_anything_is_spent(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.out_of_reach = "northeurope"
    outcome = stage.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert "not replicated to northeurope" in outcome.reason
    assert "Add the region to the registry" in outcome.reason
    workspace.out_of_reach = None
    assert isinstance(stage.run("validate", workspace), Succeeded)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("gate", [{"metric": "recall", "at_least": 0.5}, {"metric": "recall", "at_most": 0.5}])
def test_a_metric_that_is_not_a_number_never_passes_and_is_reported_as_it_was_logged(
    stage: Stage, workspace: FakeWorkspace, odd: str, gate: dict[str, Any]
) -> None:
    at = stage.with_settings(validate=[gate]).with_(evidence={"share": {**SHARED, "not_numbers": {"recall": odd}}})
    outcome = at.run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert f"found the job logged {odd}" in outcome.reason


def test_a_champion_whose_metric_is_not_a_number_is_distinguished_from_one_without(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    nan = champion(share={**SHARED, "metrics": {}, "not_numbers": {"accuracy": "NaN"}})
    outcome = stage.with_settings(validate=[compared(without="fail")]).with_(champion=nan).run("validate", workspace)
    assert isinstance(outcome, Failed)
    assert "0.95; the champion's is NaN: fail" in outcome.reason
