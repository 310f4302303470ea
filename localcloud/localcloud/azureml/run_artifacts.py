"""The artifacts of runs: their `azureml://` addresses, and the transfer of files that the plug-in for MLflow makes.

MLflow knows no `azureml://` of its own. On Azure the package azureml-mlflow brings it; here it is the plug-in in
`compute/mlflow_plugin`, which speaks MLflow's own artifact API, `/api/2.0/mlflow-artifacts/artifacts/RUN/PATH`.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from aiohttp import web

from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.scopes import Scope
from localcloud.azureml.storage import ARTIFACT_DATASTORE, Storage, UnusableUri
from localcloud.azureml.wire import Json, not_found

_ADDRESS = re.compile(r"azureml://.+/experiments/[^/]+/runs/(?P<run>[^/]+)/artifacts(?:/(?P<path>.+))?")
_CHUNK = 1 << 20


def artifact_address(workspace: Scope, base_url: str, experiment: str, run: str) -> str:
    """Where the artifacts of a run are, as Azure's `artifact_uri` says."""
    authority = base_url.removeprefix("https://")
    return f"azureml://{authority}/mlflow/v2.0{workspace.path}/experiments/{experiment}/runs/{run}/artifacts"


def run_and_path(address: str) -> tuple[str, str] | None:
    """The run of such an address, and the path within its artifacts; None for any other URI."""
    found = _ADDRESS.fullmatch(address)
    return (found["run"], found["path"] or "") if found else None


class RunArtifacts:
    """The routes of one workspace; they do not check who asks."""

    def __init__(self, workspace: Scope, records: JobRecords, storage: Storage) -> None:
        self._workspace = workspace
        self._records = records
        self._storage = storage

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """`{prefix}/api/2.0/mlflow-artifacts/artifacts…`"""
        api = f"{prefix}/api/2.0/mlflow-artifacts/artifacts"
        return [
            web.get(api, self._list),
            web.get(api + "/{run}/{path:.+}", self._download),
            web.put(api + "/{run}/{path:.+}", self._upload),
            web.delete(api + "/{run}/{path:.+}", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        """What is directly in a folder; for a file, the file itself."""
        run, _, path = request.query.get("path", "").partition("/")
        place = self._file(run, path)
        listed = sorted(place.iterdir()) if place.is_dir() else [place] if place.is_file() else []
        return web.json_response({"files": [_entry(each) for each in listed]})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        file = self._requested(request)
        if not file.is_file():
            raise not_found(f"The artifact {request.match_info['path']} of the run {request.match_info['run']}")
        return web.FileResponse(file)

    async def _upload(self, request: web.Request) -> web.Response:
        """Puts a whole file in place, or none of it."""
        file = self._requested(request)
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".upload-")
        try:
            with os.fdopen(handle, "wb") as written:
                async for chunk in request.content.iter_chunked(_CHUNK):
                    written.write(chunk)
        except BaseException:
            os.unlink(name)
            raise
        os.replace(name, file)
        return web.json_response({})

    async def _delete(self, request: web.Request) -> web.Response:
        file = self._requested(request)
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
        return web.json_response({})

    def _requested(self, request: web.Request) -> Path:
        return self._file(request.match_info["run"], request.match_info["path"])

    def _file(self, run: str, path: str) -> Path:
        name = PurePosixPath(self._records.artifacts_path(self._workspace, run), path.strip("/"))
        try:
            return self._storage.blob(self._workspace.account, ARTIFACT_DATASTORE, str(name))
        except UnusableUri as error:
            raise not_found(f"The artifact {path}") from error


def _entry(file: Path) -> Json:
    shown: Json = {"path": file.name, "is_dir": file.is_dir()}
    return shown if file.is_dir() else {**shown, "file_size": file.stat().st_size}
