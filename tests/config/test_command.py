"""`python -m shared.config`: the check that a person or a pipeline runs before deploying."""

from pathlib import Path

import pytest

from shared.config import __main__ as command
from tests.config.right import RIGHT, SETTINGS, changed
from tests.config.test_named_files import FILES


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    return tmp_path / "promotion.yml"


def test_a_right_configuration_shows_its_routes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(RIGHT, encoding="utf-8")
    assert command.main([str(path)]) == 0
    assert capsys.readouterr().out == "churn: churn-*: dev → test → prod\n"


def test_a_wrong_configuration_shows_its_faults(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(changed(("contoso-ml", "7"), ("from: dev", "from: lab")), encoding="utf-8")
    assert command.main([str(path)]) == 1
    assert capsys.readouterr().err.count("\n  ") == 2


def test_a_file_that_is_named_and_not_there_is_a_fault(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(RIGHT, encoding="utf-8")
    (path.parent / "scoring" / "score.py").unlink()
    assert command.main([str(path)]) == 1
    assert "there is no ../scoring/score.py, which it names as scoring_script" in capsys.readouterr().err


def test_without_a_file_the_apps_own_is_checked(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(changed(("contoso-ml", "7")), encoding="utf-8")
    monkeypatch.setenv("MLPROMOTE_CONFIGURATION", str(path))
    assert command.main([]) == 1
    assert str(path) in capsys.readouterr().err
