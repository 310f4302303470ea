"""The run of a pipeline against the local Azure ML: what it costs, what keeps it from running, and who submitted it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from tests.cloud.conftest import client
from tests.cloud.local_azure import DORA, LocalAzure, until
from tests.cloud.test_pipelines import SETTINGS, Promotion, submitted
from tests.rows_pipeline import code_in, register_rows
from tests.steps.promotion import NOW


@pytest.fixture(scope="module")
def job(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of dev, which has completed; `test` has data for it."""
    folder = tmp_path_factory.mktemp("rows")
    register_rows(client("dev", azure), folder / "data", "sample", 10)
    register_rows(client("test", azure), folder / "data", "production", 100)
    return submitted(azure, code_in(folder / "code"))


@pytest.fixture
def approved(azure: LocalAzure, job: str, name: str, tmp_path: Path) -> Iterator[Promotion]:
    promotion = Promotion(azure, job, tmp_path, SETTINGS, number=name)
    yield promotion.after("register_components", "inspect", "approve")
    azure.no_faults()


def poll(
    promotion: Promotion, workspace: AzureMLWorkspace, number: int = 1, state: Mapping[str, object] | None = None
) -> Outcome:
    command = promotion.command("run", number, state or {})
    return run_step(command, Workplace(lambda _: workspace, lambda _: Rules(), promotion.folder, lambda: NOW))


def test_it_is_submitted_in_one_call_and_a_poll_of_it_is_one(approved: Promotion) -> None:
    azure, outcomes = approved.azure, list[Outcome]()
    workspace = azure.workspace("test")
    azure.fault("queueing", match={"path": "*/ws-test/jobs/*"})
    calls = azure.calls(lambda: outcomes.append(poll(approved, workspace)))
    assert [call for call in calls if call.startswith("PUT ")] == ["PUT /workspaces/*/jobs/*"]
    first = outcomes[0]
    assert isinstance(first, Running)
    again = azure.calls(lambda: outcomes.append(poll(approved, workspace, 2, first.state)))
    assert again == ["GET /workspaces/*/jobs/*"]
    assert isinstance(outcomes[1], Running)


def test_without_quota_it_fails_in_words_that_name_the_step(approved: Promotion) -> None:
    approved.azure.fault("out_of_quota", match={"path": "*/ws-test/jobs/*"})
    failed = approved.step("run")
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.QUOTA
    assert failed.reason.startswith(f"Step first of job {approved.run_name} failed: ")
    assert "Request more quota" in failed.reason


def test_in_a_queue_that_never_ends_it_is_cancelled_by_the_undo(approved: Promotion) -> None:
    azure = approved.azure
    azure.fault("queueing", match={"path": "*/ws-test/jobs/*"}, count=None)
    workspace = azure.workspace("test")
    assert isinstance(poll(approved, workspace), Running)
    assert isinstance(approved.step("cancel_job"), Succeeded)

    def ended() -> bool:
        found = workspace.submitted_job(approved.run_name)
        return found is not None and found.status == "Canceled"

    until(ended, "that the job is cancelled")


def test_a_job_of_that_name_by_somebody_else_is_a_conflict_though_it_has_the_same_content(
    approved: Promotion,
) -> None:
    """Somebody who may submit jobs, and who read what the app would submit."""
    assert isinstance(poll(approved, approved.azure.workspace("test", DORA)), Running)
    failed = approved.step("run")
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.CONFLICT
    assert "it was not submitted by the identity of test" in failed.reason
