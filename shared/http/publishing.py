"""Requests about sources over HTTP: what they have published, what publishing would change, and publishing.

The pointer of a source moves only if the whole bundle is right, and only from where the caller saw it.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config import ConfigurationFaults, Fault, bundle
from shared.core.events import Person
from shared.http import bodies
from shared.http.bodies import Body, Text
from shared.http.refusals import BadRequestError, ConflictError, NotPermittedError, NotThereError
from shared.ports import Bundles, Pointer, PointerBrokenError, PointerMovedError, Publication, RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.config.platform import Platform, Source
    from shared.config.team import TeamRoute
    from shared.coordinator.published import Published, SourceState

_NO_SOURCES = (
    "This app has its routes in its own configuration, so nothing can be published to it. Give it a platform.yml with "
    "`sources`."
)


class Preview(Body):
    """The body of a request for what publishing would change."""

    digest: Text


class Publish(Body):
    """The body of a request to publish. `expected` is the digest that counts, as the caller saw it; null for none."""

    digest: Text
    expected: Text | None = None
    reason: Text


class PublishingRequests:
    """Answers requests. Thread-safe. `clock` returns the time with its zone."""

    def __init__(
        self,
        platform: "Callable[[], Platform | None]",
        published: "Callable[[], Published]",
        bundles: Callable[[], Bundles],
        folder: Callable[[str], Path],
        clock: Callable[[], datetime],
    ) -> None:
        """`platform` returns None if the app's routes are in its own file."""
        self._platform = platform
        self._published = published
        self._bundles = bundles
        self._folder = folder
        self._clock = clock

    def sources(self) -> dict[str, Any]:
        """Every source: what counts, since when, by whom."""
        self._known()
        return {"value": [_shown(state) for state in self._published().states()]}

    def source(self, name: str) -> dict[str, Any]:
        """One source, with its earlier publications."""
        state = self._published().state(self._source(name).name)
        earlier = state.pointer.publications if state.pointer else ()
        return {**_shown(state), "history": [_publication(each) for each in earlier]}

    def keep(self, name: str, digest: str, archive: bytes, by: Person) -> dict[str, Any]:
        """Store a bundle. It does not count before it is published."""
        self._permitted(name, by)
        try:
            files = bundle.read_new(archive)
        except ConfigurationFaults as faults:
            raise _refused(faults.faults) from faults
        if (found := bundle.digest_of(files)) != digest:
            raise BadRequestError(f"The archive has the digest {found}, not {digest[:100]}. Build it again.")
        self._bundles().keep(digest, archive)
        return {"digest": digest, "files": len(files), "bytes": sum(map(len, files.values()))}

    def preview(self, name: str, body: bytes, by: Person) -> dict[str, Any]:
        """What publishing would change, or what is wrong with the bundle."""
        source = self._permitted(name, by)
        asked = bodies.read(Preview, body)
        faults: tuple[Fault, ...] = ()
        routes: Mapping[str, TeamRoute] = {}
        try:
            routes = self._routes(source.name, asked.digest)
        except ConfigurationFaults as found:
            faults = found.faults
        state = self._published().state(source.name)
        return {
            "source": source.name,
            "digest": asked.digest,
            "expected": state.pointer.digest if state.pointer else None,
            "faults": [asdict(fault) for fault in faults],
            "changes": [] if faults else self._changes(state, routes, asked.digest),
        }

    def publish(self, name: str, body: bytes, by: Person) -> dict[str, Any]:
        """Let a bundle count from now on."""
        source = self._permitted(name, by)
        asked = bodies.read(Publish, body)
        before = self._pointer(source.name)
        counts = before.digest if before else None
        if counts != asked.expected:
            raise ConflictError(_moved(source.name, counts), {"expected": counts})
        try:
            routes = self._routes(source.name, asked.digest)
        except ConfigurationFaults as faults:
            raise _refused(faults.faults) from faults
        changes = self._changes(self._published().state(source.name), routes, asked.digest)
        known = {each.digest for each in before.publications} if before else set()
        back = asked.digest in known and asked.digest != counts
        publication = Publication(asked.digest, by.id, by.name, asked.reason, self._clock(), back)
        if counts != asked.digest:
            try:
                self._bundles().publish(source.name, publication, before)
            except PointerMovedError as fault:
                raise ConflictError(_moved(source.name, None), {"expected": None}) from fault
            self._published().forget()
        return {**self.source(source.name), "changes": changes}

    def _pointer(self, source: str) -> Pointer | None:
        try:
            return self._bundles().pointer(source)
        except PointerBrokenError as fault:
            raise ConflictError(
                f"{source}: {fault}. Somebody who may write to the storage must repair or delete it.", {}
            ) from fault

    def _routes(self, source: str, digest: str) -> "Mapping[str, TeamRoute]":
        if not bundle.is_digest(digest):
            raise BadRequestError(f"digest: {digest[:100]!r} is not the digest of a bundle: 64 hexadecimal digits")
        try:
            return self._published().routes_of(source, digest)
        except RejectedError as refusal:
            raise BadRequestError(str(refusal)) from refusal

    def _changes(self, state: "SourceState", routes: "Mapping[str, TeamRoute]", digest: str) -> list[dict[str, Any]]:
        from shared.config.team_changes import Version, changes

        counts = self._folder(state.publication.digest) if state.publication else None
        found = changes(Version(state.routes, counts), Version(routes, self._folder(digest)))
        return [asdict(each) for each in found]

    def _known(self) -> "Platform":
        platform = self._platform()
        if platform is None:
            raise NotThereError(_NO_SOURCES)
        return platform

    def _source(self, name: str) -> "Source":
        platform = self._known()
        if name not in platform.sources:
            raise NotThereError(f"There is no source {name[:100]}. Sources: {', '.join(platform.sources)}.")
        return platform.sources[name]

    def _permitted(self, name: str, by: Person) -> "Source":
        """The source, if the person may publish to it."""
        source = self._source(name)
        if source.roles & set(by.roles) or source.groups & set(by.groups):
            return source
        if source.groups and by.groups_left_out:
            raise NotPermittedError(by.groups_left_out)
        wanted = " or ".join([*sorted(source.roles), *(f"group {each}" for each in sorted(source.groups))])
        raise NotPermittedError(f"{by.name} needs {wanted} to publish to {name}. platform.yml names its publishers.")


def _moved(source: str, counts: str | None) -> str:
    now = f" Now {counts[:12]} counts." if counts else ""
    return f"Somebody else has published to {source} since you looked.{now} Look at the changes again, then publish."


def _refused(faults: "tuple[Fault, ...]") -> BadRequestError:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "\n".join(f"  {fault}" for fault in faults)
    return BadRequestError(f"The bundle has {count}:\n{lines}", {"faults": [asdict(fault) for fault in faults]})


def _shown(state: "SourceState") -> dict[str, Any]:
    return {
        "source": state.name,
        "published": _publication(state.publication) if state.publication else None,
        "routes": list(state.routes),
        "trouble": state.trouble or None,
    }


def _publication(publication: Publication) -> dict[str, Any]:
    return {**asdict(publication), "at": publication.at.isoformat()}
