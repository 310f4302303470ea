"""`python -m shared.config`: the check that a person or a pipeline runs before deploying."""

from pathlib import Path

import pytest

from shared.config import __main__ as command
from tests.config.right import RIGHT, SETTINGS, changed


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "promotion.yml"


def test_a_right_configuration_shows_its_routes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(RIGHT, encoding="utf-8")
    assert command.main([str(path)]) == 0
    assert capsys.readouterr().out == "churn: churn-*: dev → test → prod\n"


def test_a_wrong_configuration_shows_its_faults(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(changed(("contoso-ml", "7"), ("from: dev", "from: lab")), encoding="utf-8")
    assert command.main([str(path)]) == 1
    assert capsys.readouterr().err.count("\n  ") == 2
