"""Deploying exactly what was validated and approved, as the environment's own worker reads it."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.messages import Evidence, Failed, FailureKind, Succeeded
from shared.core.replacing import replace
from tests.fakes.workspace import CREATED, FakeWorkspace
from tests.steps.promotion import ENDPOINT, ORIGIN, SHARED, Stage

EVIL = "azureml://registries/reg/models/open-evil/versions/1"


@pytest.fixture
def scored(stage: Stage) -> Stage:
    """The stage with scoring code of its own."""
    (stage.folder / "scoring" / "lib").mkdir(parents=True)
    (stage.folder / "scoring" / "score.py").write_text("def run(data): return 1\n")
    (stage.folder / "scoring" / "lib" / "numbers.py").write_text("ONE = 1\n")
    (stage.folder / "deployment.yml").write_text(
        "instance_type: Standard_DS3_v2\ncode_configuration: {code: scoring, scoring_script: score.py}\n"
    )
    return stage


def digest(stage: Stage, workspace: FakeWorkspace) -> str:
    return str(stage.validated(workspace).evidence["validate"]["manifest"]["digest"])


def refused(stage: Stage, workspace: FakeWorkspace, step: str = "deploy") -> Failed:
    """How the step failed, having made nothing."""
    outcome = stage.run(step, workspace)
    assert isinstance(outcome, Failed), outcome
    assert not [method for method in workspace.calls if method.startswith("start_")]
    return outcome


def test_validate_shows_what_would_be_deployed(scored: Stage, workspace: FakeWorkspace) -> None:
    shown = scored.validated(workspace).evidence["validate"]["manifest"]
    assert shown["model"] == "azureml://registries/reg/models/digits/versions/3"
    assert (shown["origin"], shown["endpoint"], shown["deployment"]) == (ORIGIN, ENDPOINT, "deployment.yml")
    assert list(shown["files"]) == ["deployment.yml", "smoke.jsonl", "scoring/lib/numbers.py", "scoring/score.py"]
    assert all(len(each) == 64 for each in shown["files"].values())


def test_the_list_of_files_is_bounded_and_the_digest_has_all_of_them(scored: Stage, workspace: FakeWorkspace) -> None:
    for number in range(200):
        (scored.folder / "scoring" / f"more{number:03}.py").write_text("")
    before = scored.validated(workspace)
    shown = before.evidence["validate"]["manifest"]
    assert (len(shown["files"]), shown["files_left_out"]) == (60, 144)
    (scored.folder / "scoring" / "more199.py").write_text("changed")
    assert "a file that is not listed" in refused(before, workspace).reason


Change = Callable[[Stage, FakeWorkspace], Stage]


def mended(name: str, content: str = "changed\n") -> Change:
    def change(stage: Stage, workspace: FakeWorkspace) -> Stage:
        (stage.folder / name).write_text(content)
        return stage

    return change


def added(stage: Stage, workspace: FakeWorkspace) -> Stage:
    (stage.folder / "scoring" / "sitecustomize.py").write_text("import os\n")
    return stage


def removed(stage: Stage, workspace: FakeWorkspace) -> Stage:
    (stage.folder / "scoring" / "lib" / "numbers.py").unlink()
    return stage


def copied_anew(stage: Stage, workspace: FakeWorkspace) -> Stage:
    copy = workspace.registry.models["digits", "3"]
    workspace.registry.models["digits", "3"] = replace(copy, created=CREATED)
    return stage


def told_other_metrics(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """That pass the gates all the same."""
    share = {**stage.evidence["share"], "metrics": {"accuracy": 0.99}}
    return stage.with_(evidence={**stage.evidence, "share": share})


def told_another_author(stage: Stage, workspace: FakeWorkspace) -> Stage:
    share = {**stage.evidence["share"], "authors": [{"id": "id-x", "name": "dora", "is_person": True}]}
    return stage.with_(evidence={**stage.evidence, "share": share})


def settings(**changed: Any) -> Change:
    return lambda stage, workspace: stage.with_settings(**changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (mended("scoring/score.py"), "scoring/score.py"),
        (mended("scoring/lib/numbers.py"), "scoring/lib/numbers.py"),
        (mended("deployment.yml", "instance_type: Standard_ND96\n"), "deployment.yml"),
        (mended("smoke.jsonl", '{"request": 1}\n'), "smoke.jsonl"),
        (added, "scoring/sitecustomize.py (was added)"),
        (removed, "scoring/lib/numbers.py (was removed)"),
        (copied_anew, "when the registry's copy was made"),
        (settings(endpoint="other-{model}"), "the endpoint (was digits-test, is other-digits)"),
        (settings(smoke=None), "smoke.jsonl (was removed)"),
        (
            settings(smoke={"requests": "smoke.jsonl", "tolerance": 1e9}),
            "a setting, the evidence of a gate, or the model's authors",
        ),
        (settings(validate=[]), "a setting, the evidence of a gate, or the model's authors"),
        (told_other_metrics, "a setting, the evidence of a gate, or the model's authors"),
        (told_another_author, "a setting, the evidence of a gate, or the model's authors"),
        (settings(require_tags={}), "a setting, the evidence of a gate, or the model's authors"),
    ],
)
def test_nothing_is_deployed_that_was_not_validated_and_the_reason_names_what_changed(
    scored: Stage, workspace: FakeWorkspace, change: Change, said: str
) -> None:
    at = scored.with_settings(
        require_tags={"promote": "true"}, validate=[{"metric": "accuracy", "at_least": 0.9}]
    ).validated(workspace)
    outcome = refused(change(at, workspace), workspace)
    assert outcome.kind is FailureKind.CHANGED
    assert f"Changed since: {said}" in outcome.reason
    assert "Retry" in outcome.reason


def test_another_model_in_the_command_is_not_deployed(scored: Stage, workspace: FakeWorkspace) -> None:
    """bob approved digits; the command names open-evil, which is in the registry and was shared properly."""
    approved = scored.approved(workspace, "id-bob")
    origin = "azureml://locations/west/workspaces/ws-dev/models/open-evil/versions/1"
    workspace.has_copy("open-evil", "1", origin)
    forged = Evil(approved, {**approved.evidence, "share": {**SHARED, "origin": origin, "registry_model": EVIL}})
    outcome = forged.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert "the model in the registry" in outcome.reason
    assert not workspace.made


class Evil(Stage):
    """The same promotion, whose command names another model."""

    def __new__(cls, *_: Any) -> "Evil":
        return object.__new__(cls)

    def __init__(self, stage: Stage, evidence: dict[str, Evidence]) -> None:
        super().__init__(**{**vars(stage), "evidence": evidence})

    def command(self, step: str, poll: int = 1) -> Any:
        made = super().command(step, poll)
        return replace(made, candidate=replace(made.candidate, name="open-evil", version="1"))


def test_the_registry_names_the_asset_and_not_the_evidence(scored: Stage, workspace: FakeWorkspace) -> None:
    validated = scored.validated(workspace)
    forged = validated.with_(
        evidence={**validated.evidence, "share": {**validated.evidence["share"], "registry_model": EVIL}}
    )
    outcome = forged.run("deploy", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["model"] == "azureml://registries/reg/models/digits/versions/3"


def test_nothing_is_deployed_that_was_not_validated_at_all(scored: Stage, workspace: FakeWorkspace) -> None:
    outcome = refused(scored.with_(evidence={"share": SHARED}), workspace)
    assert outcome.kind is FailureKind.CHANGED
    assert "Nothing was validated" in outcome.reason


@pytest.mark.parametrize(
    ("validated", "missing"),
    [
        ({"gates": []}, "Validated: Object missing required field `manifest`"),
        ({"gates": [], "manifest": {"digest": 7}}, "manifest.digest"),
    ],
)
def test_evidence_that_lacks_a_field_is_refused_with_its_name(
    scored: Stage, workspace: FakeWorkspace, validated: Evidence, missing: str
) -> None:
    outcome = refused(scored.with_(evidence={"share": SHARED, "validate": validated}), workspace)
    assert outcome.kind is FailureKind.BUG
    assert missing in outcome.reason


def test_a_version_squatted_in_the_registry_is_never_validated(scored: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_copy("digits", "3", "azureml://locations/west/workspaces/mallory/models/digits/versions/3")
    outcome = refused(scored, workspace, "validate")
    assert outcome.kind is FailureKind.CONFLICT


def test_a_version_swapped_in_the_registry_after_it_was_validated_is_never_deployed(
    scored: Stage, workspace: FakeWorkspace
) -> None:
    validated = scored.validated(workspace)
    workspace.has_copy("digits", "3", "azureml://locations/west/workspaces/mallory/models/digits/versions/3")
    outcome = refused(validated, workspace)
    assert outcome.kind is FailureKind.CONFLICT
    assert "mallory" in outcome.reason


def test_a_gate_that_held_no_more_stops_the_deployment(scored: Stage, workspace: FakeWorkspace) -> None:
    at = scored.with_settings(validate=[{"metric": "accuracy", "at_least": 0.9}]).validated(workspace)
    forged = at.with_(evidence={**at.evidence, "share": {**SHARED, "metrics": {"accuracy": 0.1}}})
    assert refused(forged, workspace).kind is FailureKind.REFUSED


def test_the_same_files_give_the_same_digest_and_any_other_file_gives_another(
    scored: Stage, workspace: FakeWorkspace
) -> None:
    first = digest(scored, workspace)
    assert digest(scored, workspace) == first
    (scored.folder / "unrelated.txt").write_text("not deployed")
    assert digest(scored, workspace) == first
    (scored.folder / "scoring" / "score.py").write_text("mended")
    assert digest(scored, workspace) != first
