"""The command line, run in this process as the command runs it, and an app for it to ask."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlpromote.command_line import main
from tests.config.right import SETTINGS
from tests.examples.promotion_document import after
from tests.mlpromote.checked_folder import FILES
from tests.mlpromote.stub import StubApp

#: Half a day after what the stub of the app describes.
NOW = datetime.fromisoformat(after(12 * 3600))


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.output)


class CommandLine:
    """Runs `mlpromote` with arguments."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._capsys.readouterr()
        code = main(arguments, clock=lambda: NOW)
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)


class Check:
    """Runs the command in a folder with the right files, some of them replaced; None leaves one out."""

    def __init__(self, mlpromote: CommandLine, folder: Path) -> None:
        self._mlpromote = mlpromote
        self.folder = folder

    def __call__(self, contents: Mapping[str, str | None], *arguments: str) -> Ended:
        for name, content in {**FILES, **contents}.items():
            file = self.folder / name
            file.parent.mkdir(exist_ok=True, parents=True)
            if content is not None:
                file.write_text(content, encoding="utf-8")
        return self._mlpromote("check", *arguments)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no local cloud of whoever runs the tests is used; the terminal has 80 columns."""
    for name in ("URL", "KEY", "TOKEN", "SCOPE", "LOCAL", "CONTEXT"):
        monkeypatch.delenv(f"MLPROMOTE_{name}", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "their-configuration"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mlpromote(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubApp]:
    """An app that the command line asks with a key."""
    with StubApp().serving() as app:
        monkeypatch.setenv("MLPROMOTE_URL", app.url)
        monkeypatch.setenv("MLPROMOTE_KEY", "the-key")
        yield app


@pytest.fixture
def check(mlpromote: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """The command, with the settings of the right files."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return Check(mlpromote, tmp_path)
