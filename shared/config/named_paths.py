"""The files that Azure ML's YAML and `promotion.yml` name, followed from file to file.

A path counts by its key, since the rest of these files is Azure ML's. Nothing that a file names may lie outside of the
configuration's folder.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from shared.config import plain_yaml
from shared.config.faults import Fault

#: Keys of files that name other files. Other values of these keys are names, such as `environment: prod`.
NAMES_YAML = frozenset({"deployment", "endpoint_file", "job", "component", "environment", "definition", "monitor"})
#: Keys of files or folders that name nothing themselves.
NAMES_CONTENT = frozenset({"requests", "code", "conda_file", "path", "additional_includes"})
#: A `path` below these is a route of a server, not a file.
_SERVER_ROUTES = frozenset({"liveness_route", "readiness_route", "scoring_route"})
#: `azureml:name@latest`, `https://…`, `${{parent.inputs.x}}`: anything that is not a local path.
_ELSEWHERE = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:|\$\{\{|/subscriptions/", re.IGNORECASE)
#: Other than these, an absolute path may be a file inside a container.
_ALWAYS_LOCAL = NAMES_YAML | NAMES_CONTENT | {"scoring_script"}


def named(content: Any) -> Iterator[tuple[str, str]]:
    """Each key that names a file in a YAML document, with the path as written there."""
    for key, above, text in _texts(content):
        if _is_path(key, text) and above not in _SERVER_ROUTES:
            yield key, text.removeprefix("file:")


def reached(folder: Path, content: Any) -> set[Path]:
    """The files that a document in `folder` names, and those that they name in turn: the existing ones, resolved."""
    found = set[Path]()
    left = [(folder, content)]
    while left:
        beside, document = left.pop()
        for key, text in named(document):
            path = (beside / text).resolve()
            if path.is_dir():
                found |= {each.resolve() for each in path.rglob("*") if each.is_file()}
            elif path.is_file() and path not in found:
                found.add(path)
                if key in NAMES_YAML:
                    left.append((path.parent, _content(path)))
    return found


def faults(folder: Path) -> list[Fault]:
    """A fault for each path in a YAML file of the folder that leads out of it."""
    root = folder.resolve()
    found = []
    for file in sorted([*root.rglob("*.yml"), *root.rglob("*.yaml")]):
        for text in dict.fromkeys(_leading_out(_content(file), file.parent, root)):
            says = f"names {text}, which is outside of the folder of promotion.yml; move it into that folder"
            found.append(Fault(file.relative_to(root).as_posix(), says))
    for file in sorted(root.rglob("*.additional_includes")):
        says = "is an old form; write additional_includes into the component's YAML"
        found.append(Fault(file.relative_to(root).as_posix(), says))
    return found


def _leading_out(content: Any, beside: Path, root: Path) -> Iterator[str]:
    for key, above, text in _texts(content):
        plain = text.removeprefix("file:").replace("\\", "/")
        is_local = text.startswith("file:") or (key in _ALWAYS_LOCAL and above not in _SERVER_ROUTES)
        if _ELSEWHERE.match(text) or "\n" in text:
            continue
        is_absolute = plain.startswith(("/", "~")) or plain[1:3] == ":/"
        climbs = ".." in plain.split("/") and (is_local or not re.search(r"\s", plain))
        if (is_absolute and is_local) or (climbs and not (beside / plain).resolve().is_relative_to(root)):
            yield plain


def _texts(content: Any) -> Iterator[tuple[str, str, str]]:
    """Each text of a document with its key and the key above; those of a list have the list's. Each part counts once,
    since aliases may refer to it many times."""
    seen = set[int]()
    left: list[tuple[str, str, Any]] = [("", "", content)]
    while left:
        key, above, value = left.pop()
        if isinstance(value, str):
            yield key, above, value
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            inner = value.items() if isinstance(value, dict) else ((None, each) for each in value)
            left += reversed(
                [(key if name is None else str(name), above if name is None else key, each) for name, each in inner]
            )


def _is_path(key: str, value: str) -> bool:
    if not value or _ELSEWHERE.match(value) or "\n" in value:
        return False
    if key in NAMES_CONTENT or key == "deployment":
        return True
    return key in NAMES_YAML and value.endswith((".yml", ".yaml"))


def _content(path: Path) -> Any:
    """What a YAML file holds; None if it cannot be read, which is reported where the file is used."""
    try:
        return plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError):
        return None
