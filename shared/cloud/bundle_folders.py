"""Bundles on this machine's disk, each in a folder named after its digest, fetched and verified by whoever uses it."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from shared.config import ConfigurationFaults, bundle
from shared.ports import Bundles, RejectedError

#: Folders that are kept: the bundles of a week's promotions. An instance's disk holds some hundred MB.
MOST_FOLDERS = 20
#: Seconds in which a folder that was asked for may still be in use. No step runs longer.
IN_USE_SECONDS = 3600.0


class BundleFolders:
    """Unpacks bundles below `root`. Thread-safe; several processes can share the folder."""

    def __init__(self, bundles: Callable[[], Bundles], root: Path) -> None:
        """`bundles` raises if the settings are wrong."""
        self._bundles = bundles
        self._root = root
        self._lock = Lock()
        self._verified = set[str]()

    def folder(self, digest: str) -> Path:
        """The folder with exactly the files of this bundle.

        Raises `RejectedError` if there is no such bundle, or if what is stored under the digest is another. May raise
        what the port raises.
        """
        if not bundle.is_digest(digest):
            raise RejectedError(f"{digest[:100]!r} is not the digest of a bundle.")
        with self._lock:
            folder = self._root / digest
            if digest not in self._verified or not folder.is_dir():
                self._make(digest, folder)
                self._verified.add(digest)
            os.utime(folder)
            self._tidy()
            return folder

    def _make(self, digest: str, folder: Path) -> None:
        """Keep a folder of an earlier process only if nobody has changed it."""
        if folder.is_dir():
            if bundle.digest_of(bundle.files_in(folder)) == digest:
                return
            shutil.rmtree(folder, ignore_errors=True)
        files = self.files(digest)
        self._root.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self._root))
        try:
            bundle.unpack(files, made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def files(self, digest: str) -> dict[str, bytes]:
        """The files of a bundle, by name. Raises like `folder`."""
        archive = self._bundles().archive(digest)
        if archive is None:
            raise RejectedError(f"There is no bundle {digest}. Publish it again.")
        try:
            files = bundle.read(archive)
        except ConfigurationFaults as fault:
            raise RejectedError(f"Bundle {digest} cannot be used: {fault}. Publish again.") from fault
        if bundle.digest_of(files) != digest:
            raise RejectedError(f"What is stored as bundle {digest} is another one. Publish again.")
        return files

    def _tidy(self) -> None:
        """Remove the folders that were not asked for the longest."""
        folders = [each for each in self._root.iterdir() if bundle.is_digest(each.name)]
        if len(folders) <= MOST_FOLDERS:
            return
        now = time.time()
        by_age = sorted(folders, key=lambda each: each.stat().st_mtime)
        for folder in by_age[: len(folders) - MOST_FOLDERS]:
            if now - folder.stat().st_mtime > IN_USE_SECONDS:
                self._verified.discard(folder.name)
                shutil.rmtree(folder, ignore_errors=True)
