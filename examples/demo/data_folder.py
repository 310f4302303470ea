"""Empties the folder with the state of the demo's last run."""

from pathlib import Path

from localcloud.configuration_file import ConfigurationError
from localcloud.folder_lock import LOCK, remove


def empty(folder: Path) -> None:
    """Remove a local cloud's folder with all its content.

    Raises `ConfigurationError` for any other folder, and for one that a local cloud is using.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / LOCK).is_file():
        raise ConfigurationError(f"{folder} is not empty and not a local cloud's folder: choose another with --data.")
    remove(folder)
