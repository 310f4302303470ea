"""What .funcignore lets through is the app, and all of the app."""

import subprocess
from pathlib import Path

import pytest

from tests.infra.shapes import REPOSITORY

APP = {"function_app.py", "functions", "shared", "host.json", "requirements.txt", "requirements", "examples"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of all files that go to Azure; git reads the rules, which are those of .gitignore."""
    empty = tmp_path_factory.mktemp("empty")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    every = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\n")
    subprocess.run(["git", "init", "--quiet", str(empty)], check=True)
    rules = ["git", "-c", f"core.excludesFile={REPOSITORY / '.funcignore'}", "check-ignore", "--no-index", "--stdin"]
    answer = subprocess.run(rules, cwd=empty, input="\n".join(every), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return set(filter(None, every)) - set(answer.stdout.splitlines())


def test_only_the_app_goes_to_azure(deployed: set[str]) -> None:
    assert {Path(name).parts[0] for name in deployed} == APP
    assert {name for name in deployed if name.startswith("requirements/")} == {"requirements/constraints.txt"}
    assert {Path(name).parts[1] for name in deployed if name.startswith("examples/")} == {"digits"}


def test_nothing_that_the_app_needs_stays_behind(deployed: set[str]) -> None:
    for folder in ("shared", "functions"):
        code = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / folder).rglob("*.py")}
        assert code <= deployed
    assert "shared/http/openapi.yml" in deployed
    for needed in ("promotion.yml", "deployments/digits.prod.yml", "smoke/digits.jsonl", "scoring/score.py"):
        assert f"examples/digits/{needed}" in deployed
