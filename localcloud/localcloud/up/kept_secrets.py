"""The keys and secrets of one local cloud: created at the first start, and stored in its data folder for the owner
only."""

import base64
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

_NAMES = ("servicebus_key", "identity_header", "master_key", "default_key", "event_grid_key")


@dataclass(frozen=True)
class Secrets:
    """The secrets that callers of each part need."""

    servicebus_key: str
    identity_header: str
    #: Keys of the Functions app: for everything, for functions, for the Event Grid webhook.
    master_key: str
    default_key: str
    event_grid_key: str
    #: By environment.
    topic_keys: dict[str, str]
    #: Of the app's own topics, by name.
    own_topic_keys: dict[str, str]
    #: Of the shared access policies of Service Bus, by name.
    shared_access_keys: dict[str, str]


def keep_secrets(
    file: Path,
    environments: Iterable[str],
    topics: Iterable[str] = (),
    shared_access: Iterable[str] = (),
) -> Secrets:
    """The secrets in the file. Missing ones are created and added."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in _NAMES:
        content.setdefault(name, _key())
    by_name = {
        "topic_keys": environments,
        "own_topic_keys": topics,
        "shared_access_keys": shared_access,
    }
    for kind, names in by_name.items():
        kept = content.setdefault(kind, {})
        make = _topic_key if kind.endswith("topic_keys") else _key
        for name in names:
            kept.setdefault(name, make())
    write_private(file, json.dumps(content, indent=2))
    return Secrets(**{each.name: content[each.name] for each in fields(Secrets)})


def _key() -> str:
    """Hexadecimal digits, since a command line reads a leading dash as an option."""
    return secrets.token_hex(20)


def _topic_key() -> str:
    """A key in base64 like Azure's: publishers sign tokens with its bytes."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def write_private(file: Path, text: str) -> None:
    """Replaces a file atomically with one that only its owner can read."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(file)
