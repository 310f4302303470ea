"""A YAML file as it is checked: its content, and where each part of it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.positions import Positions, positions
from shared.config.faults import Steps


@dataclass(frozen=True)
class Document:
    """A file that holds a mapping."""

    file: Path
    content: dict[str, Any]
    positions: Positions

    def fault(self, steps: Steps, message: str, rule: Rule) -> Finding:
        """Return a fault at a place of the file."""
        where = self.positions.at(steps)
        return Finding(self.file, where.line, where.column, message, rule)


@dataclass(frozen=True)
class Naming:
    """Where a file is named: a place in another one."""

    document: Document
    steps: Steps

    def fault(self, message: str, rule: Rule = Rule.FILE) -> Finding:
        """Return a fault at that place."""
        return self.document.fault(self.steps, message, rule)


def read(file: Path, name: str, named: Naming | None) -> Document | Finding:
    """Return the mapping in a YAML file, or what is wrong: in the file, or where it is named if there is none."""
    try:
        if file.exists() and not file.is_file():  # reading a device or a pipe might never end
            says = "is not an ordinary file"
            return named.fault(f"{name} {says}") if named else Finding(file, 1, 1, says, Rule.FILE)
        text = file.read_text(encoding="utf-8")
    except OSError as fault:
        says = "does not exist" if isinstance(fault, FileNotFoundError) else f"cannot be read: {fault.strerror}"
        return named.fault(f"{name} {says}") if named else Finding(file, 1, 1, says, Rule.FILE)
    except UnicodeDecodeError:
        return Finding(file, 1, 1, "is not UTF-8 text", Rule.FILE)
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Finding(file, line, column, f"is not YAML: {fault.problem or fault.context}", Rule.FILE)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        return Finding(file, 1, 1, f"is not YAML: {' '.join(str(fault).split())}", Rule.FILE)
    if not isinstance(content, dict):
        return Finding(file, 1, 1, "must be a mapping of keys to values", Rule.FILE)
    return Document(file, content, positions(text))


def is_remote(text: str) -> bool:
    """Whether a text names an asset or an address, not a local file."""
    return text.startswith(("azureml:", "/subscriptions/")) or "://" in text or "${{" in text


def texts(found: Any) -> Iterator[str]:
    """Yield the text, if it is one."""
    if isinstance(found, str) and found:
        yield found


def mapping(found: Any) -> Mapping[str, Any]:
    """The mapping, or an empty one for anything else, which the rules of the configuration or a loader report."""
    return found if isinstance(found, dict) else {}


def stages(route: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each stage of a route as it is written, with its position."""
    written = mapping(route).get("stages")
    for position, stage in enumerate(written if isinstance(written, list) else ()):
        yield position, mapping(stage)
