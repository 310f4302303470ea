"""Reads an app's JSON files as the real host does: comments, trailing commas and a byte order mark pass."""

import json
import re
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|,(?=\s*[\]}}])")


def read_json_file(path: Path) -> Any:
    """The file's content; raises FileNotFoundError, or HostError with the place of the fault."""
    try:
        text = path.read_text("utf-8-sig")
        return json.loads(_without(_TRAILING_COMMA, _without(_COMMENT, text)))
    except (ValueError, RecursionError) as error:
        raise HostError(f"{path} is not valid JSON: {error}") from error


def _without(unwanted: re.Pattern[str], text: str) -> str:
    """Blanks instead of all matches but strings, so that lines and columns stay what they are."""
    return unwanted.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0]), text)
