"""What indexing the functions needs of the configuration: the environments' names, read without pydantic.

Indexing has to be quick: at most 1.5 times as long as for an app without functions. Importing pydantic takes longer
than everything else in it together. PyYAML takes 19 ms of the processor's time, where an empty app takes 70 and ours
94: it would be 1.6 times as long. So a file in the usual form is read without it as well.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from shared.config import azure_names
from shared.config.faults import ConfigurationFaults, Fault, place

_KEY = "environments"
_INDENT = "  "
# A key and at most one value that ends in its line: a word, a quoted text, or a mapping of such values in braces.
_LINE = re.compile(
    r"(?P<indent>(?:  )*)(?P<key>[a-z][a-z0-9_-]*):"
    r'(?: +(?:[\w$][\w$./{}-]*|"[^"]*"|\{(?: *[a-z_]+: +(?:\w[\w./-]*|"[^"]*"),?)*\}))?'
)
# With a backslash the key can be written in another way; to YAML the others end a line, too.
_BEYOND_LINES = ("\\", "\x85", "\u2028", "\u2029")


def environment_names(path: Path) -> list[str]:
    """The names of the environments in the file at `path`, in its order.

    Raises ConfigurationFaults if there are none, or if one is no name for queues and functions. Nothing else is
    checked, so a file that is no YAML further down may pass.
    """
    names = _read_without_yaml(path) or _read_with_yaml(path)
    faults = [fault for name in names if (fault := _name_fault(name))]
    if faults:
        raise ConfigurationFaults(path, faults)
    return names


def may_take_approvals(path: Path) -> bool:
    """Whether the file at `path` speaks of who takes approvals, so that an environment may; False without the file."""
    try:
        return "taken_by" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # told when it is read again
        return False


def names_in_usual_form(text: str) -> list[str] | None:
    """The names as PyYAML reads them if `text` is YAML; None where only PyYAML can tell them.

    The form is usual if down to the last environment every key and value is in one line, and the names are indented by
    two spaces.
    """
    if any(sign in text for sign in _BEYOND_LINES):
        return None
    names: list[str] = []
    rest: Iterable[str] = ()
    section = ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        content = line.partition("#")[0].rstrip(" ")
        if not content:
            continue
        if names and not content.startswith(" "):
            rest = lines[number:]
            break
        found = _LINE.fullmatch(content)
        if not found:
            return None
        if not found["indent"]:
            section = found["key"]
        elif section == _KEY and found["indent"] == _INDENT:
            names.append(found["key"])
    if any(_KEY in line for line in rest):  # where a key is there twice, the last one counts
        return None
    return list(dict.fromkeys(names)) or None


def _read_without_yaml(path: Path) -> list[str] | None:
    try:
        return names_in_usual_form(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # told when it is read again
        return None


def _read_with_yaml(path: Path) -> list[str]:
    from shared.config import document

    content, _ = document.read(path)
    environments = content.get(_KEY) if isinstance(content, dict) else None
    if not isinstance(environments, dict) or not environments:
        raise ConfigurationFaults(path, [Fault(_KEY, "must be a mapping of names to environments")])
    return list(environments)


def _name_fault(name: str) -> Fault | None:
    try:
        azure_names.ENVIRONMENT.check(name)
    except ValueError as refusal:
        return Fault(place((_KEY, name)), str(refusal))
    return None
