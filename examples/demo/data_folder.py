"""Empties the folder that the last run of the demo left its state in."""

from pathlib import Path

from localcloud.configuration_file import ConfigurationError
from localcloud.folder_lock import LOCK, remove


def empty(folder: Path) -> None:
    """Remove a local cloud's folder with all that is in it.

    Raises `ConfigurationError` rather than remove anything else, or a folder that a local cloud is using.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / LOCK).is_file():
        raise ConfigurationError(f"{folder} is not empty and no local cloud's: choose another folder with --data.")
    remove(folder)
