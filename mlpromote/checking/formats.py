"""How findings are printed: for people, for programs, for GitHub's annotations, and for code scanning (SARIF)."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlpromote.checking.checker import Checked
from mlpromote.checking.findings import MEANINGS, REMEDIES, Finding
from mlpromote.installed import own_version

_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def text(checked: Checked) -> Iterator[str]:
    """Yield a line for each finding, as compilers print them, and a summary."""
    for each in checked.findings:
        kind = "note: " if each.is_note else ""
        yield f"{shown(each.file)}:{each.line}:{each.column}: {kind}{each.message} [{each.rule}]"
    if checked.faults:
        yield f"{checked.faults} fault{'s' if checked.faults > 1 else ''}"
        return
    yield from checked.routes
    yield "no faults"


def as_json(checked: Checked) -> Iterator[str]:
    """Yield one JSON object."""
    findings = [
        {
            "file": shown(each.file),
            "line": each.line,
            "column": each.column,
            "rule": each.rule,
            "level": "note" if each.is_note else "error",
            "message": each.message,
        }
        for each in checked.findings
    ]
    document = {"faults": checked.faults, "routes": list(checked.routes), "findings": findings}
    yield json.dumps(document, ensure_ascii=False, indent=2)


def github(checked: Checked) -> Iterator[str]:
    """Yield workflow commands, which GitHub Actions shows beside the lines of a pull request."""
    for each in checked.findings:
        kind = "notice" if each.is_note else "error"
        place = f"file={_property(shown(each.file))},line={each.line},col={each.column}"
        yield f"::{kind} {place},title={_property(f'mlpromote {each.rule}')}::{_data(each.message)}"


def sarif(checked: Checked) -> Iterator[str]:
    """Yield a log in the Static Analysis Results Interchange Format 2.1.0."""
    # GitHub's code scanning asks for both descriptions and the help of each rule.
    rules = [
        {
            "id": str(rule),
            "shortDescription": {"text": meaning},
            "fullDescription": {"text": meaning},
            "help": {"text": REMEDIES[rule]},
        }
        for rule, meaning in MEANINGS.items()
    ]
    driver: dict[str, Any] = {"name": "mlpromote check", "rules": rules}
    if own := own_version():
        driver["version"] = own
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each) for each in checked.findings],
    }
    yield json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


FORMATS: Mapping[str, Callable[[Checked], Iterator[str]]] = {
    "text": text,
    "json": as_json,
    "github": github,
    "sarif": sarif,
}


def shown(file: Path) -> str:
    """Return the file's path from here, with `/`. A link is not followed: its name is what people know."""
    here = Path.cwd()
    absolute = Path(os.path.abspath(file))
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def _result(finding: Finding) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": quote(shown(finding.file))},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": str(finding.rule),
        "level": "note" if finding.is_note else "error",
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }


def _data(message: str) -> str:
    """Escape what would end a workflow command."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
