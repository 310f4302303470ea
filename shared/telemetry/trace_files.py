"""Stores traces in a folder on this machine: a file per trace, a line of JSON per span."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append(folder: Path, trace: str, span: Mapping[str, Any]) -> None:
    """Append a span. Safe for several processes: a line is written in one call."""
    with _file(folder, trace).open("a", encoding="utf-8") as file:
        file.write(json.dumps(span) + "\n")


def read(folder: Path, trace: str) -> list[dict[str, Any]]:
    """The spans in the order in which they ended; empty for an unknown trace."""
    try:
        written = _file(folder, trace).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    *lines, _being_written = written.split("\n")
    return [json.loads(line) for line in lines]


def _file(folder: Path, trace: str) -> Path:
    return folder / f"{trace}.jsonl"
