"""The description of the HTTP API."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document as JSON values, not to be changed. It stands beside this file, with its comments."""
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    return content
