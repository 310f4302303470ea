"""Keeps a second process off a folder of state."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from localcloud.configuration_file import ConfigurationError


@contextlib.contextmanager
def locked(folder: Path, user: str) -> Iterator[None]:
    """Hold the existing `folder` for as long as the block runs; the system lets go of it however this process ends.

    Raises `ConfigurationError`, which names `user` ("local cloud"), when another process holds it.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Another {user} is using {folder}. End it, or choose another folder with --data."
            ) from error
        yield
