"""What a failure says of a candidate that is not there: where it was looked for, and how to check."""

import pytest

from shared.core.messages import Candidate, FailureKind, Kind
from shared.worker.missing import no_job, no_model

WORKSPACE = "/subscriptions/s/resourceGroups/rg-ml/providers/Microsoft.MachineLearningServices/workspaces/ws-dev"


@pytest.mark.parametrize(
    ("environment", "workspace", "place", "options"),
    [
        ("dev", WORKSPACE, "dev, workspace ws-dev", "--workspace-name ws-dev --resource-group rg-ml"),
        ("dev", WORKSPACE.lower(), "dev, workspace ws-dev", "--workspace-name ws-dev --resource-group rg-ml"),
        (
            "registry",
            "azureml://registries/contoso-ml",
            "the registry contoso-ml",
            "--registry-name contoso-ml",
        ),
    ],
)
def test_a_missing_model_is_told_with_the_place_and_the_command_that_lists_what_is_there(
    environment: str, workspace: str, place: str, options: str
) -> None:
    failed = no_model(Candidate(Kind.MODEL, "digits", "99", environment, workspace))
    assert failed.kind is FailureKind.NOT_FOUND
    assert failed.reason.startswith(f"There is no model digits, version 99, in {place}: it was deleted or never")
    assert f"`az ml model list --name digits {options}`" in failed.reason


def test_a_missing_job_too() -> None:
    failed = no_job(Candidate(Kind.PIPELINE, "churn-training", "train-6", "dev", WORKSPACE))
    assert failed.kind is FailureKind.NOT_FOUND
    assert failed.reason.startswith("There is no job train-6 in dev, workspace ws-dev: it was deleted or never existed")
    assert "`az ml job list --workspace-name ws-dev --resource-group rg-ml`" in failed.reason
