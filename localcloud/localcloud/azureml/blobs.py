"""The Blob service: as much of its protocol as azure-storage-blob uses to upload, look at, list and download."""

import contextlib
import hashlib
import json
import re
import sqlite3
import uuid
from email.utils import formatdate
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.azureml.shared_key import is_signed
from localcloud.azureml.storage import REGISTRY_ACCOUNT, REGISTRY_CONTAINER, Storage, UnusableUri, account_name

CHUNK = 1 << 20  # bytes
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PERMISSION = {"GET": "r", "HEAD": "r", "PUT": "w", "DELETE": "d"}


class Blobs:
    """Serves `/blob/ACCOUNT/CONTAINER/NAME`, and for registries `/CONTAINER/NAME`.

    Each request must carry a signature for the container, or be signed with the account's key.
    """

    def __init__(self, storage: Storage, database: sqlite3.Connection, uploads: Path) -> None:
        """`uploads` is a folder for blocks that are not committed yet."""
        self._storage = storage
        self._database = database
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/blob/{account}/{container}", self._container),
            web.route("*", "/blob/{account}/{container}/{name:.*}", self._blob),
            web.route("*", f"/{{container:{REGISTRY_CONTAINER}}}", self._container),
            web.route("*", f"/{{container:{REGISTRY_CONTAINER}}}/{{name:.*}}", self._blob),
        ]

    async def _container(self, request: web.Request) -> web.StreamResponse:
        account, container = self._admitted(request, "l")
        if request.method != "GET":
            return _error(405, "UnsupportedHttpVerb")
        if request.query.get("comp") != "list":
            return web.Response(headers=_stamp(None))
        folder = self._storage.container(account, container)
        return web.Response(text=self._listing(folder, request), content_type="application/xml")

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        account, container = self._admitted(request, _PERMISSION.get(request.method, "w"))
        name = request.match_info["name"]
        try:
            file = self._storage.blob(account, container, name.rstrip("/") if request.method == "HEAD" else name)
        except UnusableUri:
            return _error(400, "InvalidUri")
        if request.method == "PUT":
            return await self._put(request, file)
        if not file.is_file() or name.endswith("/"):
            return _error(404, "BlobNotFound")
        if request.method == "DELETE":
            file.unlink()
            self._set_metadata(file, {})
            return web.Response(status=202)
        return await self._read(request, file)

    def _admitted(self, request: web.Request, permission: str) -> tuple[str, str]:
        account = account_name(request.match_info.get("account", REGISTRY_ACCOUNT))
        container = request.match_info["container"]
        by_key = is_signed(request, self._storage.account_key(account))
        if not by_key and not self._storage.admits(account, container, request.query, permission):
            raise web.HTTPForbidden(
                headers={"x-ms-error-code": "AuthenticationFailed"},
                text='<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server'
                " failed to authenticate the request. The signature is missing, expired or not valid for this."
                "</Message></Error>",
                content_type="application/xml",
            )
        return account, container

    async def _put(self, request: web.Request, file: Path) -> web.Response:
        kind = request.query.get("comp")
        exists = _is_file(file)
        if kind == "metadata":
            if not exists:
                return _error(404, "BlobNotFound")
            self._set_metadata(file, _metadata(request))
            return web.Response(status=200, headers=_stamp(file))
        if kind == "block":
            await self._receive(request, self._block(file, request.query.get("blockid", "")))
            return web.Response(status=201, headers={"x-ms-request-server-encrypted": "true"})
        if request.headers.get("If-None-Match") == "*" and exists:
            return _error(409, "BlobAlreadyExists")
        try:
            if kind == "blocklist":
                await self._commit(request, file)
            else:
                await self._receive(request, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            # Unlike on Azure, a name cannot be both a file and a folder.
            return _error(409, "PathConflict")
        self._set_metadata(file, _metadata(request))
        return web.Response(status=201, headers={**_stamp(file), "x-ms-request-server-encrypted": "true"})

    async def _receive(self, request: web.Request, file: Path) -> None:
        """Writes the body beside the file first, so that an interrupted upload leaves the old content."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(parents=True, exist_ok=True)
        partial = self._uploads / uuid.uuid4().hex
        try:
            with partial.open("wb") as target:
                async for chunk in request.content.iter_chunked(CHUNK):
                    target.write(chunk)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    async def _commit(self, request: web.Request, file: Path) -> None:
        try:
            listed = ElementTree.fromstring(await request.text())
        except (ElementTree.ParseError, UnicodeDecodeError) as error:
            raise web.HTTPBadRequest(headers={"x-ms-error-code": "InvalidXmlDocument"}) from error
        blocks = [self._block(file, entry.text or "") for entry in listed]
        if not all(block.is_file() for block in blocks):
            raise web.HTTPBadRequest(headers={"x-ms-error-code": "InvalidBlockList"})
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._uploads / uuid.uuid4().hex
        with partial.open("wb") as target:
            for block in blocks:
                target.write(block.read_bytes())
        partial.replace(file)
        for block in blocks:
            block.unlink(missing_ok=True)

    def _block(self, file: Path, identifier: str) -> Path:
        return self._uploads / hashlib.sha256(f"{file}\n{identifier}".encode()).hexdigest()

    async def _read(self, request: web.Request, file: Path) -> web.StreamResponse:
        size = _size(file)
        headers = {**_stamp(file), **self._metadata_of(file), "x-ms-blob-type": "BlockBlob", "Accept-Ranges": "bytes"}
        first, last, status = 0, size - 1, 200
        if wanted := _RANGE.fullmatch(request.headers.get("x-ms-range") or request.headers.get("Range") or ""):
            first = int(wanted[1])
            if first >= size:
                return _error(416, "InvalidRange")
            last, status = min(int(wanted[2] or last), last), 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = "application/octet-stream"
        response.content_length = last - first + 1
        await response.prepare(request)
        if request.method != "HEAD":
            with file.open("rb") as source:
                source.seek(first)
                remaining = last - first + 1
                while remaining > 0 and (chunk := source.read(min(CHUNK, remaining))):
                    await response.write(chunk)
                    remaining -= len(chunk)
        await response.write_eof()
        return response

    def _listing(self, folder: Path, request: web.Request) -> str:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        blobs: list[str] = []
        folders: set[str] = set()
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if not file.is_file() or not name.startswith(prefix):
                continue
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter, 1)[0] + delimiter)
            else:
                blobs.append(self._entry(name, file))
        shown = "".join(f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in sorted(folders))
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
            f"<Blobs>{''.join(blobs)}{shown}</Blobs><NextMarker/></EnumerationResults>"
        )

    def _entry(self, name: str, file: Path) -> str:
        stamp = _stamp(file)
        metadata = "".join(
            f"<{key[len('x-ms-meta-') :]}>{escape(value)}</{key[len('x-ms-meta-') :]}>"
            for key, value in self._metadata_of(file).items()
        )
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{stamp['Last-Modified']}</Last-Modified>"
            f"<Etag>{escape(stamp['ETag'])}</Etag><Content-Length>{file.stat().st_size}</Content-Length>"
            f"<BlobType>BlockBlob</BlobType></Properties><Metadata>{metadata}</Metadata></Blob>"
        )

    def _metadata_of(self, file: Path) -> dict[str, str]:
        row = self._database.execute(
            "SELECT headers FROM blob_metadata WHERE blob = ?", (str(file.relative_to(self._storage.folder)),)
        ).fetchone()
        headers: dict[str, str] = json.loads(row[0]) if row else {}
        return headers

    def _set_metadata(self, file: Path, headers: dict[str, str]) -> None:
        self._database.execute(
            "INSERT INTO blob_metadata VALUES (?, ?) ON CONFLICT (blob) DO UPDATE SET headers = excluded.headers",
            (str(file.relative_to(self._storage.folder)), json.dumps(headers)),
        )


def _metadata(request: web.Request) -> dict[str, str]:
    return {key.lower(): value for key, value in request.headers.items() if key.lower().startswith("x-ms-meta-")}


def _stamp(file: Path | None) -> dict[str, str]:
    headers = {"x-ms-version": "2021-08-06"}
    with contextlib.suppress(OSError):
        if file:
            state = file.stat()
            headers["ETag"] = f'"{state.st_mtime_ns:x}"'
            headers["Last-Modified"] = formatdate(state.st_mtime, usegmt=True)
    return headers


def _is_file(file: Path) -> bool:
    return file.is_file()


def _size(file: Path) -> int:
    return file.stat().st_size


def _error(status: int, code: str) -> web.Response:
    return web.Response(status=status, headers={"x-ms-error-code": code})
