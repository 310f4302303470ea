"""Reads an app's JSON files as the real host does: comments, trailing commas and a byte order mark are allowed."""

import json
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError
from localcloud.json_comments import without_comments, without_trailing_commas


def read_json_file(path: Path) -> Any:
    """The file's content; raises FileNotFoundError, or HostError with the place of the fault."""
    try:
        text = path.read_text("utf-8-sig")
        return json.loads(without_trailing_commas(without_comments(text)))
    except (ValueError, RecursionError) as error:
        raise HostError(f"{path} is not valid JSON: {error}") from error
