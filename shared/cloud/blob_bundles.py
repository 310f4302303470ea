"""Published bundles in a container of Azure Blob Storage.

An archive is `bundles/DIGEST.zip`. The pointer of a source is `sources/SOURCE.json`. It moves only if its ETag is still
the one that was read.
"""

from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from shared.cloud import pointer_document
from shared.ports import Bundles, Pointer, PointerMovedError, Publication


class BlobBundles:
    """The `Bundles` port. The container must exist. Thread-safe."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def keep(self, digest: str, archive: bytes) -> None:
        self._container.upload_blob(_archive(digest), archive, overwrite=True)

    def archive(self, digest: str) -> bytes | None:
        try:
            return self._container.download_blob(_archive(digest)).readall()
        except ResourceNotFoundError:
            return None

    def pointer(self, source: str) -> Pointer | None:
        try:
            found = self._container.download_blob(_pointer(source))
        except ResourceNotFoundError:
            return None
        return Pointer(pointer_document.read(found.readall()), str(found.properties.etag))

    def publish(self, source: str, publication: Publication, before: Pointer | None) -> Pointer:
        publications = pointer_document.moved(publication, before.publications if before else ())
        condition: dict[str, Any] = {"overwrite": False}
        if before is not None:
            condition = {"overwrite": True, "etag": before.version, "match_condition": MatchConditions.IfNotModified}
        blob = self._container.get_blob_client(_pointer(source))
        try:
            answer = blob.upload_blob(pointer_document.written(publications), **condition)
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as fault:
            if isinstance(fault, ResourceNotFoundError) and before is None:
                raise  # the container is missing
            raise PointerMovedError(f"somebody else has published to {source} meanwhile") from fault
        return Pointer(publications, str(answer["etag"]))


def _archive(digest: str) -> str:
    return f"bundles/{digest}.zip"


def _pointer(source: str) -> str:
    return f"sources/{source}.json"


_: type[Bundles] = BlobBundles  # lets the type checker prove that it implements the port
