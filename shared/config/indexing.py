"""The part of the configuration that indexing needs, the environments' names, read without pydantic.

Indexing has to be quick: at most 1.5 times as long as for an app without functions. Importing pydantic takes longer
than everything else in it together. PyYAML takes 19 ms of the processor's time, where an empty app takes 70 and ours
94: it would be 1.6 times as long. So a file in the usual form is read without it as well.
"""

import re
from collections.abc import Iterable

from shared.config import azure_names
from shared.config.faults import ConfigurationFaults, Fault, place
from shared.config.written import Readable

_KEY = "environments"
_INDENT = "  "
# A key and at most one value that ends in its line: a word, a quoted text, or a mapping of such values in braces.
_LINE = re.compile(
    r"(?P<indent>(?:  )*)(?P<key>[a-z][a-z0-9_-]*):"
    r'(?: +(?:[\w$][\w$./{}-]*|"[^"]*"|\{(?: *[a-z_]+: +(?:\w[\w./-]*|"[^"]*"),?)*\}))?'
)
# A # that follows anything but a space belongs to the word before it.
_COMMENT = re.compile(r"(?:^| )#")
# A backslash allows other spellings of a key; the other characters are line breaks in YAML, too.
_BEYOND_LINES = ("\\", "\x85", "\u2028", "\u2029")


def environment_names(path: Readable) -> list[str]:
    """Return the names of the environments in the file at `path`, in its order.

    Raises ConfigurationFaults if there are none, or if one is not a valid name for queues and functions. Nothing else
    is checked, so a file with invalid YAML further down may pass.
    """
    names = _read_without_yaml(path) or _read_with_yaml(path)
    faults = [fault for name in names if (fault := _name_fault(name))]
    if faults:
        raise ConfigurationFaults(path, faults)
    return names


def may_take_approvals(path: Readable) -> bool:
    """Return whether an environment in the file at `path` may take its own approvals; False without the file."""
    try:
        return "taken_by" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # reported when the file is read again
        return False


def names_in_usual_form(text: str) -> list[str] | None:
    """Return the names as PyYAML would read them from `text`, or None if only PyYAML can tell.

    This works if every key and value down to the last environment is on one line, and the names are indented by two
    spaces.
    """
    if any(sign in text for sign in _BEYOND_LINES):
        return None
    names: list[str] = []
    rest: Iterable[str] = ()
    section = ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        content = _COMMENT.split(line, maxsplit=1)[0].rstrip(" ")
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
    if any(_KEY in line for line in rest):  # of duplicate keys, the last one counts
        return None
    return list(dict.fromkeys(names)) or None


def _read_without_yaml(path: Readable) -> list[str] | None:
    try:
        return names_in_usual_form(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # reported when the file is read again
        return None


def _read_with_yaml(path: Readable) -> list[str]:
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
