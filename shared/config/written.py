"""Where a configuration is written: a file, or a setting of the app that holds its text."""

from dataclasses import dataclass
from typing import Protocol


class Readable(Protocol):
    """A text that can be read, and named in a message. Each `Path` is one."""

    def read_text(self, *, encoding: str) -> str:
        """Raises OSError if it cannot be read."""


@dataclass(frozen=True)
class SettingText:
    """The text of a setting."""

    name: str
    text: str

    def read_text(self, *, encoding: str) -> str:
        return self.text

    def __str__(self) -> str:
        return f"the setting {self.name}"
