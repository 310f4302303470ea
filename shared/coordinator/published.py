"""What the sources have published, as this process knows it: at most `REFRESH_SECONDS` old.

A broken bundle never counts: the source goes on with the last one that can be used, and `trouble` says why.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from shared.config import ConfigurationFaults
from shared.config.bundle import CONFIGURATION
from shared.ports import Bundles, Pointer, PointerBrokenError, Publication, RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.config import Configuration
    from shared.config.platform import Platform
    from shared.config.team import TeamRoute

log = logging.getLogger("mlpromote")

#: New publications count in every process after this time.
REFRESH_SECONDS = 20.0
#: Earlier publications that are tried, if the newest cannot be used.
MOST_TRIED = 10


@dataclass(frozen=True)
class SourceState:
    """One source: its pointer, and the publication that counts."""

    name: str
    pointer: Pointer | None = None
    publication: Publication | None = None
    routes: "Mapping[str, TeamRoute]" = field(default_factory=dict)  #: by their names in the app
    trouble: str = ""  #: why the newest publication does not count; empty if it does


class Published:
    """Thread-safe. The callables raise if the settings are wrong."""

    def __init__(
        self,
        platform: "Callable[[], Platform]",
        bundles: Callable[[], Bundles],
        folder: Callable[[str], Path],
        is_unavailable: Callable[[Exception], bool],
        refused: Callable[[SourceState], None] = lambda state: None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` returns that of a bundle's files by its digest, or raises `RejectedError`. `is_unavailable` tells
        whether an error of `bundles` will pass. `refused` is told once of each publication that does not count."""
        self._tell_of_refusal = refused
        self._platform = platform
        self._bundles = bundles
        self._folder = folder
        self._is_unavailable = is_unavailable
        self._seconds = seconds
        self._lock = RLock()
        self._states: Mapping[str, SourceState] | None = None
        self._configuration: Configuration | None = None
        self._until = 0.0
        #: What is wrong with a bundle for a source. It does not change, since a digest stands for the content.
        self._refused: dict[tuple[str, str], ConfigurationFaults] = {}
        self._loaded: dict[tuple[str, str], Mapping[str, TeamRoute]] = {}

    def configuration(self) -> "Configuration":
        """The platform with all published routes. Raises what `bundles` raises, if nothing has been read yet."""
        with self._lock:
            self._refresh()
            assert self._configuration is not None
            return self._configuration

    def states(self) -> Sequence[SourceState]:
        """Every source, in the order of the platform's file. Raises like `configuration`."""
        with self._lock:
            self._refresh()
            assert self._states is not None
            return list(self._states.values())

    def state(self, source: str) -> SourceState:
        """One source of the platform's file. Raises like `configuration`."""
        return next(each for each in self.states() if each.name == source)

    def forget(self) -> None:
        """Read everything again next time, since something was published."""
        with self._lock:
            self._until = 0.0

    def routes_of(self, source: str, digest: str) -> "Mapping[str, TeamRoute]":
        """The routes of a bundle as the source would publish it, beside what other sources have published.

        Raises ConfigurationFaults with every fault, and `RejectedError` if there is no such bundle.
        """
        from shared.config.team import conflicts

        with self._lock:
            routes = self._load(source, digest)
            others = [route for each in self.states() if each.name != source for route in each.routes.values()]
            if found := conflicts(routes.values(), others, self._platform()):
                raise ConfigurationFaults(Path(CONFIGURATION), found)
            return routes

    def _refresh(self) -> None:
        if self._states is not None and self._seconds() < self._until:
            return
        from shared.config.platform import merged

        try:
            states = {each.name: each for each in self._read()}
        except Exception as fault:
            if self._states is None or not self._is_unavailable(fault):
                raise
            log.warning("published bundles cannot be read; the last ones still count: %s", fault)
        else:
            self._tell(states)
            platform = self._platform()
            self._states = {name: states[name] for name in platform.sources}
            self._configuration = merged(
                platform, [route for each in states.values() for route in each.routes.values()]
            )
        self._until = self._seconds() + REFRESH_SECONDS

    def _read(self) -> Iterator[SourceState]:
        """Every source, the one that has published earlier first: of two that want the same, the second is refused."""
        found: list[tuple[Publication, Pointer, str]] = []
        for name in self._platform().sources:
            try:
                pointer = self._bundles().pointer(name)
            except PointerBrokenError as fault:
                yield self._last_good(name, None, str(fault))
                continue
            if pointer is None:
                yield SourceState(name)
            else:
                found.append((pointer.publications[0], pointer, name))
        accepted: list[TeamRoute] = []
        for _, pointer, name in sorted(found, key=lambda each: (each[0].at, each[2])):
            state = self._usable(name, pointer, accepted)
            accepted += state.routes.values()
            yield state

    def _usable(self, name: str, pointer: Pointer, others: "Sequence[TeamRoute]") -> SourceState:
        """The newest publication that can be used beside the routes of the others."""
        from shared.config.team import conflicts

        trouble = ""
        newest: dict[str, Publication] = {}
        for publication in pointer.publications:
            newest.setdefault(publication.digest, publication)
        for publication in list(newest.values())[:MOST_TRIED]:
            try:
                routes = self._load(name, publication.digest)
                if found := conflicts(routes.values(), others, self._platform()):
                    raise ConfigurationFaults(Path(CONFIGURATION), found)
            except (ConfigurationFaults, RejectedError) as fault:
                trouble = trouble or f"bundle {publication.digest[:12]}: {fault}"
                continue
            return SourceState(name, pointer, publication, routes, trouble)
        return self._last_good(name, pointer, trouble)

    def _last_good(self, name: str, pointer: Pointer | None, trouble: str) -> SourceState:
        """What counted until now in this process."""
        before = self._states.get(name) if self._states else None
        if before is None or before.publication is None:
            return SourceState(name, pointer, trouble=trouble)
        return SourceState(name, pointer or before.pointer, before.publication, before.routes, trouble)

    def _load(self, source: str, digest: str) -> "Mapping[str, TeamRoute]":
        from shared.config.team import load_team

        key = (source, digest)
        if key in self._refused:
            raise self._refused[key]
        if key not in self._loaded:
            try:
                self._loaded[key] = load_team(self._folder(digest), self._platform(), source, digest)
            except ConfigurationFaults as fault:
                self._refused[key] = fault
                raise
        return self._loaded[key]

    def _tell(self, states: "Mapping[str, SourceState]") -> None:
        """Log what has changed."""
        for name, state in states.items():
            before = self._states.get(name) if self._states else None
            if state.trouble and (before is None or before.trouble != state.trouble):
                log.error("what %s has published is not used: %s", name, state.trouble)
                self._tell_of_refusal(state)
            now = state.publication.digest if state.publication else ""
            if now and (before is None or before.publication is None or before.publication.digest != now):
                log.info("%s: bundle %s counts now", name, now[:12])
