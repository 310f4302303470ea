"""Keeps a second process from using a folder of state, and from removing it."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from localcloud.configuration_file import ConfigurationError

#: The file in a folder of state that is locked.
LOCK = "lock"
PRIVATE_FOLDER = 0o700


@contextlib.contextmanager
def locked(folder: Path, user: str) -> Iterator[None]:
    """Makes `folder`, for its owner only, and locks it inside the block. The system releases the lock, however this
    process ends.

    Raises `ConfigurationError`, which names `user` ("local cloud"), if another process holds it, or if it cannot be
    created or written to.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)  # it may have existed before
        opened = os.fdopen(os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o600), "w")
    except OSError as error:
        raise ConfigurationError(f"The folder {folder} cannot be used: {error.strerror}. Choose another.") from error
    with opened as file:
        try:
            _take(file)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Another {user} is using {folder}. End it, or choose another folder with --data."
            ) from error
        yield


def remove(folder: Path) -> None:
    """Removes the folder with all that is in it, if it exists.

    Raises `ConfigurationError`, with nothing removed, if another process holds it or a folder in it.
    """
    with contextlib.ExitStack() as held:
        for lock in folder.rglob(LOCK):
            if not lock.is_file():
                continue
            try:
                _take(held.enter_context(lock.open()))
            except BlockingIOError as error:
                raise ConfigurationError(f"A local cloud is using {lock.parent}. End it first.") from error
        if folder.exists():
            shutil.rmtree(folder)


def _take(file: IO[str]) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
