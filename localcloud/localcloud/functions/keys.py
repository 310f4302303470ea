"""Access keys of the app: the master key, the host key for functions, and the system key for the Event Grid webhook."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.functions.definition import HostError
from localcloud.http_server import is_secret

EVENT_GRID_KEY = "eventgrid_extension"


@dataclass(frozen=True)
class Keys:
    """The keys in keys.json; the master key gives access to everything."""

    master: str
    default: str
    system: Mapping[str, str]

    def allow_function(self, key: str) -> bool:
        """Whether the key opens a function of the level FUNCTION."""
        return _same(key, self.default) or self.allow_admin(key)

    def allow_admin(self, key: str) -> bool:
        """Whether the key opens the admin API and functions of the level ADMIN."""
        return _same(key, self.master)

    def allow_system(self, key: str, name: str) -> bool:
        """Whether the key opens the extension's webhook of that name."""
        return _same(key, self.system.get(name, "")) or self.allow_admin(key)


def load_keys(path: Path) -> Keys:
    """Reads the keys, or makes them on the first start, readable by their owner only."""
    if not path.exists():
        _write(path)
    try:
        content = json.loads(path.read_text())
        return Keys(content["master"], content["default"], dict(content["systemKeys"]))
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{path} holds no keys ({error!r}); delete it to have new ones made.") from error


def _write(path: Path) -> None:
    # Hexadecimal digits, since a command line reads a leading dash as an option.
    content = {
        "master": secrets.token_hex(20),
        "default": secrets.token_hex(20),
        "systemKeys": {EVENT_GRID_KEY: secrets.token_hex(20)},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    draft.replace(path)


def _same(key: str, expected: str) -> bool:
    return bool(expected) and is_secret(key, expected)
