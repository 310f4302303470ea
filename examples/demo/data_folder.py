"""Empties the folder that the last run of the demo left its state in."""

import fcntl
import shutil
from pathlib import Path

from localcloud.configuration_file import ConfigurationError


def empty(folder: Path) -> None:
    """Remove a local cloud's folder with all that is in it.

    Raises `ConfigurationError` rather than remove anything else, or a folder that a local cloud is using.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    lock = folder / "lock"
    if not lock.is_file():
        raise ConfigurationError(f"{folder} is not empty and no local cloud's: choose another folder with --data.")
    with lock.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            raise ConfigurationError(
                f"A local cloud is using {folder}. End it, or choose another folder with --data."
            ) from fault
        shutil.rmtree(folder)
