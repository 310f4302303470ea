"""The port of published bundles: their archives, and for each source the one that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.wire import Moment


@dataclass(frozen=True)
class Publication:
    """One move of a source's pointer."""

    digest: str  #: of the bundle that counts since then
    person: str  #: object id of who published it
    name: str  #: of that person
    reason: str
    at: Moment
    back: bool = False  #: whether it went back to a bundle that had been published before


@dataclass(frozen=True)
class Pointer:
    """Which bundle of a source counts, and which did before."""

    publications: Sequence[Publication]  #: the newest first, at least one; the oldest are forgotten
    version: str  #: as the storage names it: it changes with every move

    @property
    def digest(self) -> str:
        """The bundle that counts."""
        return self.publications[0].digest


#: Earlier publications that a pointer remembers.
MOST_REMEMBERED = 100


class PointerMovedError(Exception):
    """Somebody else published meanwhile."""


class PointerBrokenError(Exception):
    """What is stored is no pointer: somebody wrote it by hand. The text says what is wrong."""


class Bundles(Protocol):
    """Where bundles are published. Each method may raise what `stores.is_unavailable` recognises."""

    def keep(self, digest: str, archive: bytes) -> None:
        """Store an archive under its bundle's digest. Storing it again changes nothing."""

    def archive(self, digest: str) -> bytes | None:
        """The archive of a bundle, unverified; None if there is none."""

    def pointer(self, source: str) -> Pointer | None:
        """The source's pointer; None if it has never published. Raises `PointerBrokenError`."""

    def publish(self, source: str, publication: Publication, before: Pointer | None) -> Pointer:
        """Move the source's pointer, and return it. Raises `PointerMovedError` if it is no longer `before`."""
