"""A worker takes the files of the bundle that its command names, and none of the app's own."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.core.messages import Champion, Failed, FailureKind, Outcome, Retry, Running, RunStep, Succeeded
from shared.core.replacing import replace
from shared.ports import RejectedError, StoreUnavailableError
from shared.worker.run import Workplace, run_step
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, ORIGIN, OURS, Stage, champion

OLD, NEW = "a" * 64, "b" * 64


class Bundles:
    """The folders of bundles; remembers which were asked for."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = folders
        self.asked: list[str] = []

    def __call__(self, digest: str) -> Path:
        self.asked.append(digest)
        if digest not in self.folders:
            raise RejectedError(f"There is no bundle {digest}. Publish it again.")
        return self.folders[digest]


@pytest.fixture
def bundles(stage: Stage, tmp_path: Path) -> Bundles:
    """Two bundles with the files of the stage; the app's own folder is empty."""
    folders = {digest: tmp_path / digest for digest in (OLD, NEW)}
    for folder in folders.values():
        shutil.copytree(stage.folder, folder)
    return Bundles(folders)


def run(stage: Stage, command: RunStep, workspace: FakeWorkspace, bundles: Bundles, empty: Path) -> Outcome:
    at = Workplace(lambda _: workspace, lambda _: stage.rules, empty, lambda: command.not_before, bundles)
    return run_step(command, at)


def test_the_files_are_those_of_the_bundle(
    stage: Stage, workspace: FakeWorkspace, bundles: Bundles, tmp_path: Path
) -> None:
    workspace.has_copy("digits", stage.version, ORIGIN)
    command = stage.command("validate")
    outcome = run(stage, replace(command, bundle=NEW), workspace, bundles, tmp_path / "empty")
    assert isinstance(outcome, Succeeded), outcome
    assert bundles.asked == [NEW]


def test_a_bundle_that_cannot_be_used_fails_the_step_in_words(
    stage: Stage, workspace: FakeWorkspace, bundles: Bundles, tmp_path: Path
) -> None:
    command = replace(stage.command("validate"), bundle="c" * 64)
    outcome = run(stage, command, workspace, bundles, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert "There is no bundle" in outcome.reason


def test_a_storage_that_is_away_is_asked_again_later(stage: Stage, workspace: FakeWorkspace, tmp_path: Path) -> None:
    def away(digest: str) -> Path:
        raise StoreUnavailableError("bundle bbbbbbbbbbbb cannot be read: no answer")

    command = replace(stage.command("validate"), bundle=NEW)
    at = Workplace(lambda _: workspace, lambda _: stage.rules, tmp_path, lambda: command.not_before, away)
    assert isinstance(run_step(command, at), Retry)


def test_an_app_without_bundles_refuses_a_command_that_names_one(stage: Stage, workspace: FakeWorkspace) -> None:
    outcome = stage.run_command(replace(stage.command("validate"), bundle=NEW), workspace)
    assert isinstance(outcome, Failed)
    assert "This app has no bundles" in outcome.reason


@pytest.mark.parametrize("of_champion", [OLD, ""])
def test_a_rollback_deploys_the_champion_from_the_bundle_that_it_was_promoted_with(
    stage: Stage, workspace: FakeWorkspace, bundles: Bundles, tmp_path: Path, of_champion: str
) -> None:
    before = champion()
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    workspace.has_copy("digits", before.candidate.version, ORIGIN)
    theirs = stage.with_(promotion=before.promotion, version=before.candidate.version).approved(workspace)
    served: Champion = replace(before, evidence=theirs.evidence, bundle=of_champion)
    command = replace(stage.with_(champion=served).command("reinstate"), bundle=NEW)
    outcome = run(stage, command, workspace, bundles, tmp_path / "empty")
    assert isinstance(outcome, Running), outcome
    assert bundles.asked == ([NEW, OLD] if of_champion else [NEW])
