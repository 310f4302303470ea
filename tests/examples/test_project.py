import subprocess
from pathlib import Path

import pytest
import yaml

from examples.demo.data_folder import empty
from examples.demo.project import APPROVAL, Project
from localcloud.up import read_description
from shared.config import StageSettings, load
from tests.config.right import CLIENT_ID, WORKSPACE
from tests.examples.conftest import DIGITS, Train
from tests.examples.scripts import COMPUTE, REPOSITORY

NAMES = ("DEV", "TEST", "PROD")
SETTINGS = {f"{name}_WORKSPACE": WORKSPACE.format(name) for name in NAMES} | {
    f"{name}_IDENTITY": CLIENT_ID for name in NAMES
}


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files by their places."""
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def test_the_app_of_the_demo_is_configured_from_a_copy(tmp_path: Path) -> None:
    description = Project(tmp_path / "data").configured(read_description(REPOSITORY / "localcloud.yml"))

    assert description.app is not None
    assert description.app.settings["MLPROMOTE_CONFIGURATION"] == "{data}/digits/promotion.yml"
    assert description.app.settings["MLPROMOTE_STORE"] == "{data}/promotions.sqlite"
    assert files(tmp_path / "data" / "digits") == files(DIGITS)


def test_the_story_changes_the_copy_alone(tmp_path: Path) -> None:
    before = files(DIGITS)
    project = Project(tmp_path)

    project.roll_out_gradually()
    project.ask_for_approval()
    project.mend_scoring()
    project.slow_scoring_down()

    copy = files(tmp_path / "digits")
    assert files(DIGITS) == before
    assert {name for name in copy if copy[name] != before[name]} == {"promotion.yml", "scoring/score.py"}


def test_from_then_on_prod_asks_for_one_approval_and_test_for_none(tmp_path: Path) -> None:
    line = Project(tmp_path).ask_for_approval()

    configuration = load(tmp_path / "digits" / "promotion.yml", SETTINGS)
    test, prod = configuration.routes["digits"].stages
    assert test.approval is None
    assert prod.approval is not None
    assert prod.approval.least == 1
    assert yaml.safe_load(line)["approval"]["min"] == 1


def test_from_then_on_prod_rolls_out_gradually_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    lines = project.roll_out_gradually()
    project.ask_for_approval()

    test, prod = load(tmp_path / "digits" / "promotion.yml", SETTINGS).routes["digits"].stages
    assert isinstance(test, StageSettings)
    assert isinstance(prod, StageSettings)
    assert test.rollout is None
    assert prod.rollout is not None
    assert len(prod.rollout.steps) == len(yaml.safe_load(lines)["rollout"]["steps"])


def test_a_file_that_has_become_another_is_not_changed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.ask_for_approval()
    (tmp_path / "digits" / "promotion.yml").write_text(APPROVAL)

    with pytest.raises(ValueError, match=r"must have this line once: deployment: deployments/digits\.prod\.yml"):
        project.ask_for_approval()


def test_the_folder_is_emptied_again_even_if_no_local_cloud_was_started_in_it(tmp_path: Path) -> None:
    Project(tmp_path / "data")

    empty(tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_the_fixed_scoring_code_loads_models_of_both_layouts(model: Path, train: Train, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert train(bundle, layout="bundle").returncode == 0
    Project(tmp_path / "data").mend_scoring()

    for folder in (model, bundle):
        ended = read_a_digit(tmp_path / "data" / "digits" / "scoring", folder)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] == "1 digit"


def read_a_digit(scoring: Path, model: Path) -> subprocess.CompletedProcess[str]:
    """Have the scoring code read a blank image, where its libraries are."""
    program = "import score; score.init(); print(len(score.run('{\"images\": [%s]}' % ([0] * 64))['digits']), 'digit')"
    return subprocess.run(
        [str(COMPUTE), "-c", program],
        cwd=scoring,
        env={"AZUREML_MODEL_DIR": str(model)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
