"""Writes the JSON Schemas of the configuration files for editors: `python -m shared.config.schema [--check]`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.config.configuration import Configuration
from shared.config.fields import SETTING
from shared.config.platform import Platform
from shared.config.team import TeamConfiguration

_DOCS = Path(__file__).parents[2] / "docs"
PATH = _DOCS / "promotion.schema.json"
PLATFORM_PATH = _DOCS / "platform.schema.json"
TEAM_PATH = _DOCS / "team.schema.json"
#: By file: what it describes, in words, and the settings.
_DESCRIBED: dict[Path, tuple[str, type[BaseModel]]] = {
    PATH: ("promotion.yml of mlpromote", Configuration),
    PLATFORM_PATH: ("platform.yml of mlpromote", Platform),
    TEAM_PATH: ("promotion.yml of a team that publishes bundles to mlpromote", TeamConfiguration),
}

#: Of what a list or a mapping may hold instead of the usual: the key by which it is told apart.
_KEYS = {"PipelineRoute": "pipelines", "JobAnalysis": "job"}


def text(of: Path = PATH) -> str:
    """Return the schema (Draft 2020-12) that belongs into one of the files above."""
    title, settings = _DESCRIBED[of]
    schema = settings.model_json_schema(by_alias=True)
    for part in list(_objects(schema)):
        _for_editors(part)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": title,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _objects(inner)


def _for_editors(part: dict[str, Any]) -> None:
    """Remove titles, which only repeat the keys, and `null`, which stands for a missing key."""
    if isinstance(part.get("title"), str):
        del part["title"]
    choices = part.get("anyOf", [])
    if {"type": "null"} in choices:
        choices.remove({"type": "null"})
        part.pop("default", None)
        if len(choices) == 1:
            part.update(part.pop("anyOf")[0])
    if any("$ref" in each for each in part.get("oneOf", ())):
        # The kinds of routes, and of analyses: told apart by a key, so that a fault is shown where it is.
        usual, other = part.pop("oneOf")
        part |= {"if": {"required": [_KEYS[other["$ref"].rpartition("/")[2]]]}, "then": other, "else": usual}
    if "patternProperties" in part:  # `${SETTING}`s are not replaced in keys
        [(pattern, inner)] = part.pop("patternProperties").items()
        part |= {"propertyNames": {"pattern": pattern.removesuffix(f"|{SETTING}")}, "additionalProperties": inner}


def main(arguments: list[str]) -> int:
    """Write the file, or with --check only compare it. Return 0, or 1 if it is stale."""
    parser = argparse.ArgumentParser(prog="python -m shared.config.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is stale")
    parser.add_argument("--file", type=Path, help="only the schema of promotion.yml, in this file")
    options = parser.parse_args(arguments)
    files = {options.file: PATH} if options.file else {path: path for path in _DESCRIBED}
    stale = False
    for file, of in files.items():
        if not options.check:
            file.write_text(text(of), encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text(of):
            sys.stderr.write(f"{file.name} is stale: run python -m shared.config.schema\n")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
