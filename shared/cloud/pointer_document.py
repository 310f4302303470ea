"""The stored form of a source's pointer: JSON that people can read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.bundle import is_digest
from shared.core import json_text
from shared.core.wire import UndecodableError, from_json, to_json
from shared.ports import PointerBrokenError, Publication
from shared.ports.bundles import MOST_REMEMBERED


@dataclass(frozen=True)
class _Document:
    publications: tuple[Publication, ...]  #: the newest first


def moved(publication: Publication, before: Sequence[Publication]) -> tuple[Publication, ...]:
    """The publications after a move, as far as a pointer remembers them."""
    return (publication, *before)[:MOST_REMEMBERED]


def written(publications: tuple[Publication, ...]) -> bytes:
    """The document of a pointer."""
    return json.dumps(to_json(_Document(publications)), indent=1, ensure_ascii=False).encode()


def read(document: bytes) -> tuple[Publication, ...]:
    """The inverse of `written`. Raises `PointerBrokenError`."""
    try:
        publications = from_json(_Document, json_text.read(document)).publications
    except (UndecodableError, ValueError) as fault:
        raise PointerBrokenError(f"the pointer cannot be read: {fault}") from fault
    if not publications or not is_digest(publications[0].digest):
        raise PointerBrokenError("the pointer names no bundle")
    return publications
