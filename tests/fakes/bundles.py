"""Published bundles in memory: implements the `Bundles` port for fast tests."""

from dataclasses import dataclass, field

from shared.ports import Bundles, Pointer, PointerBrokenError, PointerMovedError, Publication
from shared.ports.bundles import MOST_REMEMBERED


@dataclass
class FakeBundles:
    """What was stored, and where the pointers are."""

    archives: dict[str, bytes] = field(default_factory=dict)
    pointers: dict[str, Pointer] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  #: sources whose pointer somebody wrote by hand

    def keep(self, digest: str, archive: bytes) -> None:
        self.archives[digest] = archive

    def archive(self, digest: str) -> bytes | None:
        return self.archives.get(digest)

    def pointer(self, source: str) -> Pointer | None:
        if source in self.broken:
            raise PointerBrokenError("the pointer names no bundle")
        return self.pointers.get(source)

    def publish(self, source: str, publication: Publication, before: Pointer | None) -> Pointer:
        now = self.pointers.get(source)
        if (now and now.version) != (before and before.version):
            raise PointerMovedError(f"somebody else has published to {source} meanwhile")
        publications = (publication, *(now.publications if now else ()))[:MOST_REMEMBERED]
        self.pointers[source] = Pointer(publications, str(int(now.version if now else 0) + 1))
        return self.pointers[source]


_: type[Bundles] = FakeBundles  # lets the type checker prove that it implements the port
