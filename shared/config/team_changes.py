"""What publishing a bundle would change, route by route."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from shared.config import named_paths
from shared.config.team import TeamRoute


@dataclass(frozen=True)
class SettingChange:
    """A setting that differs. `before` or `after` is None where it is not there."""

    place: str  #: such as `stages.prod.smoke.max_latency`
    before: Any
    after: Any


@dataclass(frozen=True)
class RouteChange:
    """What becomes of one route."""

    route: str  #: its name in the app
    change: Literal["added", "removed", "changed", "same"]
    settings: tuple[SettingChange, ...] = ()
    files: tuple[str, ...] = ()  #: names of the files that differ, were added or were removed


@dataclass(frozen=True)
class Version:
    """The routes of a bundle, and the folder of its files."""

    routes: Mapping[str, TeamRoute]
    folder: Path | None  #: None without a bundle


def changes(before: Version, after: Version) -> Iterator[RouteChange]:
    """One entry for each route of either version, by name."""
    for name in sorted(before.routes.keys() | after.routes.keys()):
        old, new = before.routes.get(name), after.routes.get(name)
        if old is None or new is None:
            yield RouteChange(name, "removed" if new is None else "added")
            continue
        settings = tuple(differences(_settings(old), _settings(new)))
        files = tuple(changed_files(before.folder, after.folder, _settings(old), _settings(new)))
        yield RouteChange(name, "changed" if settings or files else "same", settings, files)


def changed_files(before: Path | None, after: Path | None, old: Any, new: Any) -> list[str]:
    """The names of the files that differ between what `old` names in one folder and `new` in the other."""
    left, right = _contents(before, old), _contents(after, new)
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def _contents(folder: Path | None, content: Any) -> dict[str, str]:
    """The SHA-256 of each file that the content names, by its name in the folder."""
    if folder is None:
        return {}
    root = folder.resolve()
    inside = (file for file in named_paths.reached(root, content) if file.is_relative_to(root))
    return {file.relative_to(root).as_posix(): sha256(file.read_bytes()).hexdigest() for file in inside}


def _settings(route: TeamRoute) -> Any:
    return route.model_dump(mode="json", by_alias=True, exclude_none=True)


def differences(old: Any, new: Any, place: str = "") -> Iterator[SettingChange]:
    """Yield the settings that differ. Entries of lists are compared by their names or metrics."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else str(key))
    elif (key := _named_by(old, new)) is not None:
        yield from differences(_by(key, old), _by(key, new), place)
    elif old != new:
        yield SettingChange(place, old, new)


def _named_by(*lists: Any) -> str | None:
    """The key that names the entries of both lists: stages have names, gates are about metrics."""
    return next((key for key in ("name", "metric") if all(_is_named_by(key, each) for each in lists)), None)


def _is_named_by(key: str, value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    names = [each.get(key) if isinstance(each, dict) else None for each in value]
    return None not in names and len(set(names)) == len(names)


def _by(key: str, entries: Any) -> dict[str, Any]:
    """The entries by their names, which are then no change of their own."""
    return {each[key]: {name: value for name, value in each.items() if name != key} for each in entries}
