"""The package for Azure contains the app and what its configuration names."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from scripts.make_package import REPOSITORY, TARGET, PackageError, package, zipped

CHURN = """
routes:
  churn:
    models: [churn]
    stages:
      - environment: test
        deployment: deployments/churn.yml
        smoke: {requests: tests/smoke.jsonl}
      - environment: prod
        deployment: deployments/no_code.yml
"""
DEPLOYMENT = """
model: azureml:churn@latest
code_configuration: {code: ../scripts, scoring_script: score.py}
environment: {image: "mcr.microsoft.com/x:latest", conda_file: ../conda.yml}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with an app, a user's project whose folders are named like ours, and stray files."""
    root = tmp_path / "checkout"
    for name in ("function_app.py", "host.json", "requirements.txt", "functions/events.py", "shared/core/lane.py"):
        write(root / name)
    write(root / "shared/http/openapi.yml")
    for name in ("scripts/make_package.py", "tests/conftest.py", "demo.log", ".local/secrets.json", "shared/demo.log"):
        write(root / name)
    churn = root / "models" / "churn"
    write(churn / "promotion.yml", CHURN)
    write(churn / "deployments" / "churn.yml", DEPLOYMENT)
    write(churn / "deployments" / "no_code.yml", "environment: azureml:sklearn@latest")
    for name in ("scripts/score.py", "scripts/features/age.py", "tests/smoke.jsonl", "conda.yml"):
        write(churn / name)
    for name in ("scripts/__pycache__/score.cpython-311.pyc", "notebook.ipynb", "churn/data.csv"):
        write(churn / name)
    return root


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def packed(root: Path) -> set[str]:
    """The files of the package; what the function says is in it."""
    target = root / ".package"
    said = package(root, "models/churn/promotion.yml", target)
    there = {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()}
    assert there == set(said)
    return there


APP = {
    "function_app.py",
    "host.json",
    "requirements.txt",
    "functions/events.py",
    "shared/core/lane.py",
    "shared/http/openapi.yml",
}
NAMED = {
    "models/churn/promotion.yml",
    "models/churn/deployments/churn.yml",
    "models/churn/deployments/no_code.yml",
    "models/churn/scripts/score.py",
    "models/churn/scripts/features/age.py",
    "models/churn/tests/smoke.jsonl",
    "models/churn/conda.yml",
}


def test_the_app_goes_and_what_its_configuration_names_and_nothing_that_lies_about(checkout: Path) -> None:
    assert packed(checkout) == APP | NAMED


def test_what_is_wanted_no_more_does_not_stay_from_the_last_time(checkout: Path) -> None:
    packed(checkout)
    (checkout / "functions" / "events.py").unlink()
    assert "functions/events.py" not in packed(checkout)


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ("deployments/gone.yml", "names deployments/gone.yml, but"),
        ("../../../elsewhere.yml", "outside"),
        ("deployments/${STAGE}.yml", "write the path itself"),
        ("scripts/features/broken.yml", "cannot be read as YAML"),
    ],
)
def test_a_configuration_that_cannot_be_packed_is_reported_and_the_last_package_kept(
    checkout: Path, named: str, fault: str
) -> None:
    packed(checkout)
    write(checkout / "models/churn/scripts/features/broken.yml", "a: [")
    write(checkout.parent / "elsewhere.yml")
    write(checkout / "models/churn/promotion.yml", CHURN.replace("deployments/churn.yml", named))
    with pytest.raises(PackageError, match=r"promotion\.yml|broken\.yml") as refusal:
        packed(checkout)
    assert fault in str(refusal.value)
    assert (checkout / ".package" / "function_app.py").exists()


def test_all_code_of_ours_that_git_keeps_goes(tmp_path: Path) -> None:
    kept = subprocess.run(
        ["git", "ls-files", "functions", "shared"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    present = {name for name in kept if (REPOSITORY / name).exists()}
    assert present
    assert present <= set(package(REPOSITORY, "", tmp_path / "package"))


def test_azd_packs_that_folder_and_no_other() -> None:
    service = yaml.safe_load((REPOSITORY / "azure.yaml").read_text())["services"]["mlpromote"]
    assert REPOSITORY / service["project"] / service["dist"] == TARGET
    assert service["hooks"]["prepackage"] == {"shell": "sh", "run": "make package"}
    ignored = (REPOSITORY / ".funcignore").read_text().splitlines()
    assert [line for line in ignored if not line.startswith("#")] == ["*"]
    assert f"{TARGET.name}/" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_a_release_has_nobodys_configuration(checkout: Path) -> None:
    assert set(package(checkout, "", checkout / ".package")) == APP
    parameters = json.loads((REPOSITORY / "infra" / "main.parameters.json").read_text())["parameters"]
    assert parameters["configuration"]["value"] == "${MLPROMOTE_CONFIGURATION=}", "infra/ names none either"


def test_the_zip_has_the_same_files_and_is_the_same_to_the_last_byte_every_time(checkout: Path) -> None:
    packed(checkout)
    first, second = checkout / "first.zip", checkout / "second.zip"
    zipped(checkout / ".package", first)
    (checkout / ".package" / "host.json").touch()
    zipped(checkout / ".package", second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert set(archive.namelist()) == APP | NAMED
