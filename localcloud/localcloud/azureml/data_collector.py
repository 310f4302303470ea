"""The data collector of deployments: writes requests and answers as JSON lines to the workspace's blobs.

`request` and `response` are payload logging. `model_inputs` and `model_outputs` are written here for MLflow models
without code only; on Azure, a scoring script can write them too.
"""

import json
import logging
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.azureml.assets import Assets
from localcloud.azureml.forwarding import ScoringAnswer, ScoringRequest
from localcloud.azureml.scopes import Scope
from localcloud.azureml.storage import DEFAULT_DATASTORE, Storage, UnusableUri
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

log = logging.getLogger(__name__)

#: A payload that is larger is a blob of its own.
_LARGEST = 4 * 1024 * 1024
#: How the time is in a blob's path, by the collector's `rollingRate`.
_FOLDERS = {"year": "%Y", "month": "%Y/%m", "day": "%Y/%m/%d", "hour": "%Y/%m/%d/%H", "minute": "%Y/%m/%d/%H/%M"}


class DataCollector:
    def __init__(self, storage: Storage, assets: Assets) -> None:
        self._storage = storage
        self._assets = assets
        self._run = uuid.uuid4()

    def collect(self, workspace: Scope, deployment: Resource, request: ScoringRequest, answer: ScoringAnswer) -> None:
        """Writes what the deployment's collector wants of this request. A fault is logged, and no caller notices."""
        collector = deployment.properties.get("dataCollector") or {}
        drawn = random.random()  # once, so that a request that is collected has its answer beside it
        for name, collection in (collector.get("collections") or {}).items():
            rate = collection.get("samplingRate")
            if str(collection.get("dataCollectionMode")).lower() != "enabled" or drawn >= (1 if rate is None else rate):
                continue
            try:
                for line in _lines(name, deployment, request, answer):
                    folder = self._folder(workspace, deployment, name, collection, collector.get("rollingRate"))
                    self._write(workspace, deployment, folder, line)
            except (OSError, UnusableUri) as error:
                log.warning("the data collector of %s could not write %s: %s", deployment.path, name, error)

    def _folder(self, workspace: Scope, deployment: Resource, name: str, collection: Json, rate: str | None) -> Path:
        asset = self._assets.find(str(collection.get("dataId") or ""))
        endpoint = deployment.path.split("/")[-3]
        own = f"modelDataCollector/{endpoint}/{deployment.name}/{name}"
        uri = (
            str(asset.properties["dataUri"])
            if asset
            else self._storage.datastore_uri(workspace, own, DEFAULT_DATASTORE)
        )
        return self._storage.file(uri, workspace) / datetime.now(UTC).strftime(_FOLDERS[(rate or "hour").lower()])

    def _write(self, workspace: Scope, deployment: Resource, folder: Path, line: Json) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        payload = line["data"]
        if isinstance(payload, bytes):
            blob = folder / line["id"]
            blob.write_bytes(payload)
            line |= {"data": self._address(blob), "datainblob": "true"}
        instance = uuid.uuid5(self._run, deployment.path.lower())
        with (folder / f"{instance}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _address(self, blob: Path) -> str:
        account, container, name = blob.relative_to(self._storage.folder).as_posix().split("/", 2)
        return self._storage.blob_uri(account, container, name)


def _lines(collection: str, deployment: Resource, request: ScoringRequest, answer: ScoringAnswer) -> Iterator[Json]:
    """The lines of one request: one, or none where there is nothing to write."""
    if collection == "request":
        content_type = request.headers.get("Content-Type", "application/json")
        line = _line(collection, deployment, request, content_type, _payload(request.body))
        length = f"bytes 0-{len(request.body) - 1}/*"
        yield line | {"path": f"/{request.path}", "method": request.method, "contentrange": length}
    elif collection == "response" and answer.model_status is not None:
        line = _line(collection, deployment, request, answer.headers["Content-Type"], _payload(answer.body))
        yield line | {"contentrange": f"bytes 0-{len(answer.body) - 1}/{len(answer.body)}"}
    elif collection in ("model_inputs", "model_outputs") and answer.status == 200 and _is_without_code(deployment):
        rows = _inputs(request.body) if collection == "model_inputs" else _outputs(answer.body)
        more = {"modelversion": "default", "collectdatatype": "pandas.core.frame.DataFrame"}
        size = len(json.dumps(rows))
        line = _line(collection, deployment, request, "application/json", rows)
        yield line | more | {"contentrange": f"bytes 0-{size - 1}/{size}"}


def _line(collection: str, deployment: Resource, request: ScoringRequest, content_type: str, data: object) -> Json:
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": deployment.path,
        "type": f"azureml.inference.{collection}",
        "datacontenttype": content_type.partition(";")[0].strip(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
        "correlationid": request.id,
        "xrequestid": request.id,
    }


def _payload(body: bytes) -> Any:
    """JSON as it is, text as text; bytes where it must be a blob of its own."""
    if len(body) > _LARGEST:
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _is_without_code(deployment: Resource) -> bool:
    serving = deployment.private.get("serving") or {}
    return serving.get("code") is None and serving.get("model_type") == "mlflow_model"


def _inputs(body: bytes) -> list[Json]:
    """The rows of a table in the form that Azure's script for MLflow models reads."""
    table = json.loads(body)["input_data"]
    if isinstance(table, dict) and "data" in table:
        return [_row(row, table.get("columns")) for row in table["data"]]
    return [_row(row) for row in (table if isinstance(table, list) else [table])]


def _outputs(body: bytes) -> list[Json]:
    predictions = json.loads(body)
    return [_row(each) for each in (predictions if isinstance(predictions, list) else [predictions])]


def _row(values: object, columns: list[object] | None = None) -> Json:
    """A row of a table: by the names of its columns, or else by their numbers."""
    if isinstance(values, dict):
        return values
    cells = values if isinstance(values, list) else [values]
    return {str(name): cell for name, cell in zip(columns or range(len(cells)), cells, strict=False)}
