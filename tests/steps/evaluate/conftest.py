import pytest

from tests.fakes.workspace import FakeWorkspace
from tests.steps.evaluate.world import GATES, JOB, PASSING
from tests.steps.promotion import Stage


@pytest.fixture
def workspace(workspace: FakeWorkspace) -> FakeWorkspace:
    """With a compute and a hold-out set; its next job passes."""
    workspace.has_data("holdout", "6")
    workspace.has_data("holdout", "7")
    workspace.outcome = PASSING
    workspace.has_copy("digits", "2", "azureml://locations/west/workspaces/ws-dev/models/digits/versions/2")
    return workspace


@pytest.fixture
def stage(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """A stage that evaluates, once `validate` has passed."""
    (stage.folder / "src").mkdir()
    (stage.folder / "src" / "evaluate.py").write_text("print('measures')\n")
    (stage.folder / "evaluate.yml").write_text(JOB)
    asked = {"job": "evaluate.yml", "inputs": {"data": "holdout@latest"}, "gates": GATES}
    return stage.with_settings(evaluate=asked).validated(workspace)
