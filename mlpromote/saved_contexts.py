"""Contexts: names for apps, in a file in the user's configuration folder. It holds addresses and no secrets."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import click

from mlpromote.exit_codes import CommandError, ExitCode


@dataclass(frozen=True)
class Context:
    """Where an app is, and how to sign in to it: either `url`, or `local` for a local cloud's folder."""

    url: str | None = None
    scope: str | None = None
    local: str | None = None
    person: str | None = None  #: of a local cloud: whom to sign in as
    seen: str | None = None  #: who was signed in when `mlpromote login` asked last

    @property
    def who(self) -> str:
        """Who one is there, as far as that is known without a sign-in; empty if it is not."""
        return self.person or (f"{self.seen} (at the last login)" if self.seen else "")


@dataclass(frozen=True)
class Contexts:
    """All of them, by name, and the one in use."""

    saved: Mapping[str, Context] = field(default_factory=dict)
    used: str | None = None

    def named(self, name: str) -> Context:
        """Return the context. Raises `CommandError` if there is none of this name."""
        if name not in self.saved:
            known = ", ".join(sorted(self.saved)) or "none; `mlpromote context add NAME --url ADDRESS` saves one"
            raise CommandError(ExitCode.USAGE, f"There is no context {name!r}. Known: {known}.")
        return self.saved[name]

    def with_one(self, name: str, context: Context) -> Self:
        """Return them with one more, or with another content of one."""
        return replace(self, saved={**self.saved, name: context})

    def without(self, name: str) -> Self:
        """Return them without one. Raises `CommandError` if there is none of this name."""
        self.named(name)
        left = {each: context for each, context in self.saved.items() if each != name}
        return replace(self, saved=left, used=None if self.used == name else self.used)


def path() -> Path:
    """Return the file: `~/.config/mlpromote/contexts.json` on Linux, and what is usual elsewhere."""
    return Path(click.get_app_dir("mlpromote")) / "contexts.json"


def read() -> Contexts:
    """Return what is saved; nothing if there is no file. Raises `CommandError` for a file that cannot be read."""
    file = path()
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        saved = {name: _read(context) for name, context in content["contexts"].items()}
        return Contexts(saved, content.get("used"))
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise CommandError(ExitCode.USAGE, f"Cannot read {file}: {fault}. Correct or delete it.") from fault


def write(contexts: Contexts) -> None:
    """Save them. The file is replaced at once, so nobody reads half of it. Raises `CommandError`."""
    content = {"used": contexts.used, "contexts": {name: _written(each) for name, each in contexts.saved.items()}}
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(number, "w", encoding="utf-8") as written:
            json.dump(content, written, indent=2)
        Path(name).replace(file)
    except OSError as fault:
        raise CommandError(ExitCode.USAGE, f"Cannot write {file}: {fault.strerror}.") from fault


def _read(content: Mapping[str, Any]) -> Context:
    """Ignores what a later version has added."""
    return Context(**{each.name: content[each.name] for each in fields(Context) if each.name in content})


def _written(context: Context) -> dict[str, str]:
    return {key: value for key, value in asdict(context).items() if value is not None}
