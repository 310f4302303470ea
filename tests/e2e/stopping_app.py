"""A copy of the app that stops at named points of publishing, so that it can be killed exactly there.

Only the lines below are added to the copy of `held_app.py`; each must find its place in its file exactly once. A point
is a file in the folder
`MLPROMOTE_STOPS`: while it is there, whoever comes to the point says so and waits. The copy reads the pointers whenever
it is asked for them, so that no test has to wait until what it remembers is too old.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.e2e import held_app
from tests.e2e.azure import until

FOLDER = "MLPROMOTE_STOPS"

_STOP = """
def _stop(point: str) -> None:
    import os, time

    here = Path(os.environ["MLPROMOTE_STOPS"]) / point
    if here.exists():
        here.with_suffix(".reached").touch()
        while here.exists():
            time.sleep(0.05)

"""
_KEPT = 'connection.execute("insert or replace into bundles values (?, ?)", (digest, archive))\n'
_MOVED = 'connection.execute("insert or replace into sources values (?, ?, ?)", (source, version + 1, document))\n'
_READ = "            self._tell(states)\n"
_UNPACKED = "            bundle.unpack(files, made)\n"
_CLASSES = {"sqlite_bundles": "class SqliteBundles", "published": "@dataclass(frozen=True)\nclass SourceState"}

_PUBLISHED = "shared/coordinator/published.py"
_AT_ONCE = {"REFRESH_SECONDS = 20.0": "REFRESH_SECONDS = 0.0"}
#: The app reads the pointers whenever it is asked for them.
AT_ONCE: Mapping[str, Mapping[str, str]] = {_PUBLISHED: _AT_ONCE}

#: By file: the text there, and the text in the copy. The file for a point is named in `_stop`.
POINTS: Mapping[str, Mapping[str, str]] = {
    "shared/cloud/sqlite_bundles.py": {
        "\nclass SqliteBundles": f"{_STOP}\nclass SqliteBundles",
        _KEPT: f'{_KEPT}        _stop("kept")\n',
        _MOVED: f'{_MOVED}            _stop("moving")\n        _stop("moved")\n',
    },
    "shared/cloud/bundle_folders.py": {
        "\nclass BundleFolders": f"{_STOP}\nclass BundleFolders",
        _UNPACKED: f'{_UNPACKED}            _stop("unpacked")\n',
    },
    _PUBLISHED: {
        "\nclass Published": f"{_STOP}\nclass Published",
        _READ: f'            _stop("taking-up")\n{_READ}',
        **_AT_ONCE,
    },
}


def make(target: Path) -> Path:
    """Copy the app into the folder `target`, which must not exist yet. Return the folder."""
    return held_app.make(target, POINTS)


class Stops:
    """The points at which the app stops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def at(self, point: str) -> None:
        """Have the app stop there from now on."""
        self.folder.joinpath(f"{point}.reached").unlink(missing_ok=True)
        self.folder.joinpath(point).touch()

    async def reached(self, point: str) -> None:
        """Wait until the app stands there."""

        async def is_there() -> bool:
            return self.folder.joinpath(f"{point}.reached").exists()

        await until(is_there, f"the app stands at {point}")

    def go_on(self) -> None:
        """Stop nowhere any more."""
        for each in self.folder.iterdir():
            each.unlink()
