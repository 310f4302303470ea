"""What .funcignore lets through is the app, and all of the app."""

from pathlib import Path

import pytest

from tests.infra.package import deployed_files
from tests.infra.shapes import REPOSITORY

APP = {"function_app.py", "functions", "shared", "host.json", "requirements.txt", "examples"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return deployed_files(tmp_path_factory.mktemp("empty"))


def test_only_the_app_goes_to_azure(deployed: set[str]) -> None:
    assert {Path(name).parts[0] for name in deployed} == APP
    assert {Path(name).parts[1] for name in deployed if name.startswith("examples/")} == {"digits"}


def test_nothing_that_the_app_needs_stays_behind(deployed: set[str]) -> None:
    for folder in ("shared", "functions"):
        code = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / folder).rglob("*.py")}
        assert code <= deployed
    assert "shared/http/openapi.yml" in deployed
    for needed in ("promotion.yml", "deployments/digits.prod.yml", "smoke/digits.jsonl", "scoring/score.py"):
        assert f"examples/digits/{needed}" in deployed
