"""A control plane that dies at any statement has either made a change and kept its event, or neither."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.azureml.compute.tracking import Tracking
from localcloud.azureml.configuration import Settings
from localcloud.azureml.events import Outbox
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Store

from .conftest import workspace_id

WORKSPACE = workspace_id("ws-dev")
SETTINGS = {"workspaces": [{"id": WORKSPACE, "topic": {"endpoint": "http://127.0.0.1:1/"}}]}


@pytest.mark.parametrize(
    ("change", "event"),
    [("completed", "RunCompleted"), ("created", "RunStatusChanged"), ("registered", "ModelRegistered")],
)
def test_no_change_is_kept_without_its_event_wherever_the_control_plane_dies(
    change: str, event: str, tmp_path: Path
) -> None:
    die_at_each_statement(tmp_path, change)
    homes = sorted(tmp_path.iterdir(), key=lambda home: int(home.name))
    kept = [(changed(home, change), told(home, event)) for home in homes]
    assert all(is_changed == is_told for is_changed, is_told in kept), kept
    assert kept[0] == (False, False)
    assert kept[-1] == (True, True)
    assert len(kept) > 3


def die_at_each_statement(folder: Path, change: str) -> None:
    program = [sys.executable, "-m", "tests.azureml.die_at_each_statement", str(folder), change, json.dumps(SETTINGS)]
    subprocess.run(program, check=True, cwd=Path(__file__).parents[2], timeout=300)


def changed(home: Path, change: str) -> bool:
    store = Store(home / "state.sqlite")
    path = "models/iris/versions/1" if change == "registered" else "jobs/job"
    found = store.get(f"{WORKSPACE}/{path}")
    store.close()
    return found is not None and (change != "completed" or found.properties["status"] == "Completed")


def told(home: Path, event: str) -> bool:
    store = Store(home / "state.sqlite")
    events = [json.loads(row[0])["eventType"] for row in store.database.execute("SELECT event FROM outbox")]
    store.close()
    return f"Microsoft.MachineLearningServices.{event}" in events


def test_a_job_whose_end_was_cut_off_ends_in_its_run_too(tmp_path: Path) -> None:
    """The run is in a database of its own: what died between the two is put right when the job fails as interrupted."""
    die_at_each_statement(tmp_path, "completed")
    for home in tmp_path.iterdir():
        scopes = Scopes(Settings.model_validate(SETTINGS))
        (workspace,) = scopes.workspaces
        store, tracking = Store(home / "state.sqlite"), Tracking(home / "runs.sqlite", lambda _, run: run)
        storage, outbox = Storage(home / "blobs", "key", "https://localhost"), Outbox(store.database, scopes)
        records = JobRecords(store, storage, outbox, {workspace.path: tracking})
        for job in records.unfinished(workspace):
            records.change(workspace, job.name, "Failed", "The job was interrupted.")
        known = records.get(workspace, "job")
        assert known is not None
        ended = {"Completed": "FINISHED", "Failed": "FAILED"}[known.properties["status"]]
        assert tracking.run("job").status == ended
        tracking.close()
        store.close()
