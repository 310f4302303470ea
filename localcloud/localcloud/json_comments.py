"""JSON with comments, as in Microsoft's examples. Blanks replace them, so that errors keep their line and column."""

import re

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|,(?=\s*[\]}}])")


def without_comments(text: str) -> str:
    """Replaces comments with blanks; lines and columns stay the same."""
    return _without(_COMMENT, text)


def without_trailing_commas(text: str) -> str:
    """Replaces trailing commas with blanks. The text must have no comments."""
    return _without(_TRAILING_COMMA, text)


def _without(unwanted: re.Pattern[str], text: str) -> str:
    return unwanted.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0]), text)
