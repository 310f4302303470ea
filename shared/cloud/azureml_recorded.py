"""Requests that a deployment's data collector recorded in the workspace's blobs, with their answers.

The collector writes JSON lines to `<collection>/<yyyy>/<MM>/<dd>/<HH>/<instance>.jsonl`; fewer levels if its rolling
rate is a day or more. The newest folders are read first, and no more than is needed.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError

from shared.cloud import azureml_files
from shared.cloud.azureml_rest import Rest
from shared.ports import RecordedRequest, Recording, RejectedError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

REQUEST, RESPONSE = "request", "response"
_DEPLOYMENTS = "2023-04-01-preview"
_DATA = "2023-04-01-preview"
_DATASTORE = "workspaceblobstore"
#: Of one collection. Production data may be large, and a function has little memory.
_MOST_BYTES = 32_000_000
#: Of one file, from its end.
_MOST_OF_FILE = 8_000_000
#: Folders that are looked into.
_MOST_FOLDERS = 200


@dataclass(frozen=True)
class _Line:
    """A request or an answer as the collector wrote it."""

    id: str
    at: datetime
    folder: str  #: relative to that of the collection
    content: Any
    is_usable: bool  #: its content is JSON, or text


def read(rest: Rest, workspace: str, credential: Any, deployment: str, until: datetime, most: int) -> Recording:
    """The last requests before `until`. `deployment`: its path below the workspace, `onlineEndpoints/…/deployments/…`.

    Empty if the deployment has no data collector, or nothing was recorded.
    """
    properties = (rest.get(f"{workspace}/{deployment}", **{"api-version": _DEPLOYMENTS}) or {}).get("properties") or {}
    collections = (properties.get("dataCollector") or {}).get("collections") or {}
    places = [_place(rest, deployment, name, collections.get(name)) for name in (REQUEST, RESPONSE)]
    if None in places:
        return Recording()
    asked, answered = (_Collection(rest, workspace, credential, *place) for place in places if place is not None)
    requests = asked.last(until, most)
    answers = answered.answers({each.id for each in requests if each.is_usable}, _oldest_folder(requests))
    usable = [
        RecordedRequest(each.id, each.at, each.content, answers[each.id].content)
        for each in requests
        if each.is_usable and each.id in answers and answers[each.id].is_usable
    ]
    return Recording(usable, len(requests) - len(usable))


def _oldest_folder(lines: Iterable[_Line]) -> str:
    return min((each.folder for each in lines), default="")


def _place(rest: Rest, deployment: str, name: str, collection: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """The datastore and the folder of a collection; None if it is not collected."""
    if str((collection or {}).get("dataCollectionMode", "")).lower() != "enabled":
        return None
    asset = str((collection or {}).get("dataId") or "").removeprefix("azureml:")
    found = rest.get(asset, **{"api-version": _DATA}) if asset.startswith("/") else None
    uri = str(((found or {}).get("properties") or {}).get("dataUri") or "")
    place = azureml_files.IN_DATASTORE.fullmatch(uri)
    if place:
        return place["datastore"], place["path"].rstrip("/")
    _, endpoint, _, own = deployment.split("/")
    return _DATASTORE, f"modelDataCollector/{endpoint}/{own}/{name}"


@dataclass
class _Collection:
    """One collection of a deployment."""

    rest: Rest
    workspace: str
    credential: Any
    datastore: str
    path: str
    _bytes_left: int = field(default=_MOST_BYTES)

    def last(self, until: datetime, most: int) -> list[_Line]:
        """The last lines before a time, the oldest first."""
        found: list[_Line] = []
        for _, lines in groupby(self._lines(), key=lambda line: line.folder):
            found += [line for line in lines if line.at < until]
            if len(found) >= most:
                break
        # The collector's times are whole seconds; within one, the order of the lines counts.
        return sorted(found, key=lambda line: line.at)[-most:]

    def answers(self, ids: set[str], oldest: str) -> dict[str, _Line]:
        """The lines with these ids, by id, from folders that are not older."""
        found: dict[str, _Line] = {}
        for line in self._lines():
            if len(found) == len(ids) or line.folder < oldest:
                break
            if line.id in ids:
                found[line.id] = line
        return found

    def _lines(self) -> Iterator[_Line]:
        """The lines of all files, folder by folder, the newest folder first."""
        opened = azureml_files.container_of(self.rest, self.workspace, self.credential, self.datastore)
        with opened as container:
            if container is None:
                raise RejectedError(
                    f"Recorded requests can be read from blobs only, not from datastore {self.datastore}."
                )
            for number, (blob, size) in enumerate(_newest_first(container, f"{self.path}/")):
                if number >= _MOST_FOLDERS or self._bytes_left <= 0:
                    return
                folder = blob[len(self.path) + 1 :].rpartition("/")[0]
                yield from _read_lines(self._end_of(container, blob, size), folder)

    def _end_of(self, container: "ContainerClient", blob: str, size: int) -> bytes:
        """The end of a file, from the beginning of a line on."""
        length = min(size, _MOST_OF_FILE, self._bytes_left)
        self._bytes_left -= length
        try:
            content = container.download_blob(blob, offset=size - length, length=length).readall() if length else b""
        except ResourceNotFoundError:  # tidied up meanwhile
            return b""
        return content if length == size else content.partition(b"\n")[2]


def _newest_first(container: "ContainerClient", folder: str) -> Iterator[tuple[str, int]]:
    """The files below a folder with their sizes. Names of folders are times, so they sort like times."""
    from azure.storage.blob import BlobPrefix

    there = list(container.walk_blobs(name_starts_with=folder, delimiter="/"))
    for each in sorted(there, key=lambda each: str(each.name), reverse=True):
        if isinstance(each, BlobPrefix):
            yield from _newest_first(container, str(each.name))
        elif each.name.endswith(".jsonl"):
            yield str(each.name), int(each.size)


def _read_lines(content: bytes, folder: str) -> Iterator[_Line]:
    for written in content.splitlines():
        line = _read_line(written, folder)
        if line is not None:
            yield line


def _read_line(written: bytes, folder: str) -> _Line | None:
    """None for what is not a complete line, such as one that is being written."""
    try:
        found = json.loads(written)
        at = datetime.fromisoformat(found["time"])
        name = found["xrequestid"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not name:
        return None
    content, is_usable = _content(found)
    return _Line(name, at if at.tzinfo else at.replace(tzinfo=UTC), folder, content, is_usable)


def _content(line: Mapping[str, Any]) -> tuple[Any, bool]:
    """The payload, and whether it is complete and can be sent again as JSON."""
    data, kind = line.get("data"), str(line.get("datacontenttype") or "").lower()
    if str(line.get("datainblob", "")).lower() == "true" or "json" not in kind:
        return None, False
    if isinstance(data, str):
        try:
            return json.loads(data), True
        except (ValueError, RecursionError):
            pass
    return data, True
