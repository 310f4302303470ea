"""Edits of a configuration count at once; a broken edit does not."""

import os
from pathlib import Path

import pytest

from shared.config import Configuration, ConfigurationFaults, load
from shared.config.edited_file import EditedFile
from shared.config.written import Readable, SettingText
from tests.config.right import RIGHT, SETTINGS


def read(file: Readable) -> Configuration:
    return load(file, SETTINGS)


def edit(file: Path, text: str) -> None:
    """Write it, at another time than before, however fast this is."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    edit(tmp_path / "promotion.yml", RIGHT)
    return tmp_path / "promotion.yml"


def test_an_edit_counts_at_once(file: Path) -> None:
    edited = EditedFile(file, read)
    assert list(edited.content.routes) == ["churn"]
    edit(file, RIGHT.replace("  churn:", "  churn-two:"))
    assert list(edited.content.routes) == ["churn-two"]


def test_an_unchanged_file_is_read_once(file: Path) -> None:
    edited = EditedFile(file, read)
    assert edited.content is edited.content


def test_a_broken_edit_leaves_what_counted_and_says_what_is_wrong(file: Path) -> None:
    edited = EditedFile(file, read)
    before = edited.content
    edit(file, RIGHT.replace("from: dev", "from: dve"))
    assert edited.content is before
    assert edited.trouble
    assert "did you mean dev?" in str(edited.trouble)
    edit(file, RIGHT)
    assert edited.content == before
    assert edited.trouble is None


def test_a_file_that_was_never_right_is_refused_each_time(file: Path) -> None:
    edit(file, "routes: [")
    edited = EditedFile(file, read)
    for _ in range(2):
        with pytest.raises(ConfigurationFaults):
            assert edited.content
    edit(file, RIGHT)
    assert edited.content


def test_a_file_that_vanishes_leaves_what_counted(file: Path) -> None:
    edited = EditedFile(file, read)
    before = edited.content
    file.unlink()
    assert edited.content is before


def test_the_text_of_a_setting_never_changes() -> None:
    edited = EditedFile(SettingText("A", RIGHT), read)
    assert edited.content is edited.content
