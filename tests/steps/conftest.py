from pathlib import Path

import pytest

from tests.fakes.workspace import FakeWorkspace
from tests.steps.pipeline import Line
from tests.steps.promotion import ORIGIN, Stage


@pytest.fixture
def workspace() -> FakeWorkspace:
    """Of the stage's environment, with the shared model in its registry."""
    fake = FakeWorkspace(name="ws-test")
    fake.has_copy("digits", "3", ORIGIN)
    return fake


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage whose files are there."""
    (tmp_path / "deployment.yml").write_text("instance_type: Standard_DS3_v2\ninstance_count: 1\n")
    (tmp_path / "smoke.jsonl").write_text('{"request": {"x": 1}, "expected": {"y": 2.0}}\n')
    return Stage(tmp_path)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line.new(tmp_path)
