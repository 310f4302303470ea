"""Makes a change again and again, each time in a child that is killed one statement later than the last.

Ends with the first child that gets through. Each child's folder has the number of the statement that it died at. A
program of its own, since a test's process has threads and must not fork.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

from localcloud.azureml.asset_bodies import AssetVersion
from localcloud.azureml.assets import Assets
from localcloud.azureml.compute.tracking import Tracking
from localcloud.azureml.configuration import Settings
from localcloud.azureml.events import Outbox
from localcloud.azureml.faults import Faults
from localcloud.azureml.job_records import JobRecords, NewJob
from localcloud.azureml.operations import Operations
from localcloud.azureml.rights import Caller, Rights
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Store

MOST_STATEMENTS = 200


def act(home: Path, change: str, settings: Settings, deadly: int) -> None:
    scopes = Scopes(settings)
    (workspace,) = scopes.workspaces
    store, storage = Store(home / "state.sqlite"), Storage(home / "blobs", "key", "https://localhost")
    outbox = Outbox(store.database, scopes)
    records = JobRecords(store, storage, outbox, {workspace.path: Tracking(home / "runs.sqlite", lambda _, run: run)})
    rights = Rights(scopes, None, None, [], "key")
    operations = Operations(store.database, "", rights, "key", Faults([]))
    assets = Assets(SharedParts(store, scopes, rights, operations, outbox, Faults([])), storage, records, 0)
    if change == "completed":
        records.create(workspace, NewJob("job", {"jobType": "Command"}, Caller("ann", "ann")))
    statements = itertools.count(1)

    def count(_statement: str) -> None:
        if next(statements) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    store.database.set_trace_callback(count)
    if change == "completed":
        records.change(workspace, "job", "Completed")
    elif change == "created":
        records.create(workspace, NewJob("job", {"jobType": "Command"}, Caller("ann", "ann")))
    else:
        assets.add(AssetVersion(workspace, "models", "iris", "1"), {"modelUri": "azureml://datastores/d/paths/p"})


def die(home: Path, change: str, settings: Settings, deadly: int) -> int:
    """The exit code of a child that makes the change: -9 where it was killed at statement number `deadly`."""
    home.mkdir()
    child = os.fork()
    if not child:
        act(home, change, settings, deadly)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: str, change: str, settings: str) -> int:
    for deadly in range(1, MOST_STATEMENTS):
        code = die(Path(folder, str(deadly)), change, Settings.model_validate_json(settings), deadly)
        if code != -signal.SIGKILL:
            return code
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
