"""The local cloud to which teams can publish."""

import subprocess
from pathlib import Path

import pytest
import yaml

from examples.teams.submit import main
from localcloud.up.description import read_description
from shared.config.platform import load_platform
from tests.config.right import SETTINGS, WORKSPACE
from tests.examples.scripts import REPOSITORY

CLOUD = REPOSITORY / "examples" / "teams" / "localcloud.yml"


def test_its_cloud_is_that_of_make_up_but_for_the_configuration_and_who_publishes() -> None:
    usual = yaml.safe_load((REPOSITORY / "localcloud.yml").read_text())
    own = yaml.safe_load(CLOUD.read_text())
    changed = {"people", "hints", "azureml", "app"}
    assert {key: own[key] for key in own.keys() - changed} == {key: usual[key] for key in usual.keys() - changed}
    assert own["app"]["settings"] == {
        **usual["app"]["settings"],
        "MLPROMOTE_CONFIGURATION": "examples/teams/platform.yml",
    }
    assert own["people"].items() >= usual["people"].items()
    description = read_description(CLOUD)
    assert description.app is not None
    assert Path(description.app.folder).resolve() == REPOSITORY


def test_make_starts_the_cloud_that_is_named() -> None:
    command = ["make", "--dry-run", "up", "CLOUD=examples/teams/localcloud.yml"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert f"-m localcloud up --config {CLOUD.relative_to(REPOSITORY)}" in shown


def test_somebody_of_its_people_may_publish_to_its_source() -> None:
    settings = {name: WORKSPACE.format(name.lower()) for name in ("DEV_WORKSPACE", "TEST_WORKSPACE", "PROD_WORKSPACE")}
    identities = {name.replace("WORKSPACE", "IDENTITY"): "0f1e2d3c-4b5a-4678-9abc-def012345678" for name in settings}
    platform = load_platform(CLOUD.parent / "platform.yml", {**SETTINGS, **settings, **identities})
    [source] = platform.sources.values()
    assert any(set(source.publishers) & set(person.roles) for person in read_description(CLOUD).people.values())


def test_who_submits_without_a_cloud_is_told_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["submit", str(CLOUD), "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"make up CLOUD=examples/teams/localcloud\.yml"):
        main()
