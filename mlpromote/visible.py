"""Text from others, made safe for a terminal: no escape sequences, no direction marks. Pure."""

import re
from typing import Any

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[ -/]*[0-~])")
#: Control characters except tab and line feed, direction marks, and invisible characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def visible(text: str) -> str:
    """Remove escape sequences from a text, and write out other invisible characters."""
    return _UNSEEN.sub(_written_out, _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def visible_values(document: Any) -> Any:
    """Do the same for every text in a JSON document."""
    if isinstance(document, str):
        return visible(document)
    if isinstance(document, dict):
        return {visible(key): visible_values(value) for key, value in document.items()}
    if isinstance(document, list):
        return [visible_values(value) for value in document]
    return document


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
