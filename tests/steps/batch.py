"""A stage with a batch endpoint: where its tests start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.core.messages import Champion
from shared.ports import EndpointKind
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import OURS, SHARED, Stage, champion, deploy_saw

BATCH_ENDPOINT = "digits-scoring"
BATCH: Mapping[str, Any] = {
    "environment": "test",
    "batch_endpoint": "{model}-scoring",
    "deployment": "batch.yml",
    "test": {"input": "sample:1", "disagreement": 0.25, "tolerance": 0.01},
}


def batch_stage(folder: Path, **changes: Any) -> Stage:
    """A stage whose files are there."""
    (folder / "batch.yml").write_text("compute: azureml:cpu\nresources: {instance_count: 2}\n")
    return Stage(folder, {name: value for name, value in {**BATCH, **changes}.items() if value is not None})


def batch_view(workspace: FakeWorkspace) -> FakeWorkspace:
    return workspace.with_endpoints(EndpointKind.BATCH)


def serving(workspace: FakeWorkspace, deployment: str = "v2-old") -> Champion:
    """The champion, whose deployment is the default of the endpoint."""
    view = batch_view(workspace)
    view.has_endpoint(BATCH_ENDPOINT, OURS, {deployment: 100})
    view.has_deployment(BATCH_ENDPOINT, deployment, {**OURS, "mlpromote.promotion": "digits-2-xyz"})
    return champion(share=SHARED, deploy=deploy_saw(deployment))
