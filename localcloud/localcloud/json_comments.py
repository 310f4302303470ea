"""JSON with comments, as Microsoft writes its examples; blanks take their place, so that faults keep theirs."""

import re

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|,(?=\s*[\]}}])")


def without_comments(text: str) -> str:
    """Comments become blanks; lines and columns stay what they are."""
    return _without(_COMMENT, text)


def without_trailing_commas(text: str) -> str:
    """Of text without comments; commas before the end of a list or an object become blanks."""
    return _without(_TRAILING_COMMA, text)


def _without(unwanted: re.Pattern[str], text: str) -> str:
    return unwanted.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0]), text)
