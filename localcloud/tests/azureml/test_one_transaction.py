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

#: Does the change again and again, each time in a child that is killed one statement later than the last, until one
#: gets through. Its folder is named by the number of that statement.
DYING = """
import itertools, os, pathlib, signal, sys
from localcloud.azureml.assets import Assets
from localcloud.azureml.compute.tracking import Tracking
from localcloud.azureml.configuration import Settings
from localcloud.azureml.events import Outbox
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.operations import Operations
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Store

folder, change, settings = pathlib.Path(sys.argv[1]), sys.argv[2], Settings.model_validate_json(sys.argv[3])


def act(home, deadly):
    scopes = Scopes(settings)
    (workspace,) = scopes.workspaces
    store, storage = Store(home / "state.sqlite"), Storage(home / "blobs", "key", "https://localhost")
    outbox = Outbox(store.database, scopes)
    records = JobRecords(store, storage, outbox, {workspace.path: Tracking(home / "runs.sqlite", home)})
    assets = Assets(store, scopes, storage, records, Operations(store.database, ""), outbox)
    if change == "completed":
        records.create(workspace, "job", {"jobType": "Command"}, Caller("ann", "ann"))
    statements = itertools.count(1)

    def count(statement):
        if next(statements) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    store.database.set_trace_callback(count)
    if change == "completed":
        records.change(workspace, "job", "Completed")
    elif change == "created":
        records.create(workspace, "job", {"jobType": "Command"}, Caller("ann", "ann"))
    else:
        assets.add(workspace, "models", "iris", "1", {"modelUri": "azureml://datastores/d/paths/p"})


for deadly in itertools.count(1):
    home = folder / str(deadly)
    home.mkdir()
    child = os.fork()
    if not child:
        act(home, deadly)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


@pytest.mark.parametrize(
    ("change", "event"),
    [("completed", "RunCompleted"), ("created", "RunStatusChanged"), ("registered", "ModelRegistered")],
)
def test_no_change_is_kept_without_its_event_wherever_the_control_plane_dies(
    change: str, event: str, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path), change, json.dumps(SETTINGS)], check=True)
    homes = sorted(tmp_path.iterdir(), key=lambda home: int(home.name))
    kept = [(changed(home, change), told(home, event)) for home in homes]
    assert all(is_changed == is_told for is_changed, is_told in kept), kept
    assert kept[0] == (False, False)
    assert kept[-1] == (True, True)
    assert len(kept) > 3


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
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path), "completed", json.dumps(SETTINGS)], check=True)
    for home in tmp_path.iterdir():
        scopes = Scopes(Settings.model_validate(SETTINGS))
        (workspace,) = scopes.workspaces
        store, tracking = Store(home / "state.sqlite"), Tracking(home / "runs.sqlite", home)
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
