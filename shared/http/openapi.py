"""The OpenAPI documents: of the coordinator, and of an environment that takes its own approvals."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shared.config import plain_yaml

#: Every app has it.
_HEALTH = "/health"


@cache
def document() -> dict[str, Any]:
    """Return the coordinator's OpenAPI 3.1 document as JSON values; do not modify it. Its source is openapi.yml."""
    return _read("openapi.yml")


@cache
def approvals_document() -> dict[str, Any]:
    """Return the document of an environment's own app, with the components that it shares with the coordinator's."""
    own, other = _read("approvals_openapi.yml"), document()
    paths = own["paths"] | {_HEALTH: other["paths"][_HEALTH]}
    every = {kind: {**known, **own["components"].get(kind, {})} for kind, known in other["components"].items()}
    needed = _with_what_they_name(paths, every)
    components = {
        kind: {name: each for name, each in known.items() if kind == "securitySchemes" or (kind, name) in needed}
        for kind, known in every.items()
    }
    return own | {"paths": paths, "components": components}


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = plain_yaml.load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return content


def _with_what_they_name(value: Any, components: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return the components that a value refers to, directly or indirectly."""
    needed: set[tuple[str, str]] = set()
    ahead = list(_references(value))
    while ahead:
        kind, name = found = ahead.pop()
        if found not in needed:
            needed.add(found)
            ahead += _references(components[kind][name])
    return needed


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            _, _, kind, name = reference.split("/")
            yield kind, name
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
