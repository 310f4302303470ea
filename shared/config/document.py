"""The configuration file as plain data: strict YAML, with every `${SETTING}` replaced."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from shared.config.faults import ConfigurationFaults, Fault, Steps, place
from shared.config.plain_yaml import LOADER
from shared.config.written import Readable

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"

#: YAML tags that a configuration can contain. Dates are read only to report that they need quotes.
_KINDS = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")}

#: Ten times more than any configuration needs.
_DEEPEST = 100

_SETTING = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")


def read(path: Readable) -> tuple[Any, list[Fault]]:
    """Return the content of the YAML at `path` and the faults of its keys.

    Raises ConfigurationFaults if the file is unreadable.
    """
    try:
        loader = LOADER(path.read_text(encoding="utf-8"))
        try:
            return _read(loader)
        finally:
            loader.dispose()
    except OSError as refusal:
        fault = Fault("(top)", f"cannot be read: {refusal.strerror}")
    except UnicodeDecodeError:
        fault = Fault("(top)", "is not UTF-8 text")
    except ValueError as refusal:  # an invalid date or number that looks valid, such as 2026-13-01
        fault = Fault("(top)", f"invalid YAML: {refusal}")
    except RecursionError:
        fault = Fault("(top)", "invalid YAML: too deeply nested")
    except yaml.MarkedYAMLError as refusal:
        mark = refusal.problem_mark or refusal.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(top)"
        fault = Fault(where, f"invalid YAML: {refusal.problem or refusal.context}")
    except yaml.YAMLError as refusal:
        fault = Fault("(top)", f"invalid YAML: {' '.join(str(refusal).split())}")
    raise ConfigurationFaults(path, [fault])


def _read(loader: yaml.SafeLoader | yaml.CSafeLoader) -> tuple[Any, list[Fault]]:
    root = loader.get_single_node()
    if root is None:
        return None, []
    faults = list(_key_faults(root, (), {}))
    return loader.construct_document(root), faults


def _key_faults(node: yaml.Node, steps: Steps, done: dict[yaml.Node, bool]) -> Iterator[Fault]:
    """Yield duplicate keys, which YAML silently accepts. Also turn every key into text, even `on` or `1`."""
    if done.get(node):  # an alias is the same node again
        return
    if problem := _problem(node, steps, done):
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    done[node] = False
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _key_faults(item, (*steps, position), done)
    elif isinstance(node, yaml.MappingNode):
        yield from _mapping_faults(node, steps, done)
    done[node] = True


def _problem(node: yaml.Node, steps: Steps, done: dict[yaml.Node, bool]) -> str | None:
    if node in done:
        return "a value contains itself"
    if len(steps) > _DEEPEST:
        return "too deeply nested"
    if node.tag not in _KINDS:
        return f"the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} is not supported"
    return None


def _mapping_faults(node: yaml.MappingNode, steps: Steps, done: dict[yaml.Node, bool]) -> Iterator[Fault]:
    first_lines: dict[str, int] = {}
    for key, value in node.value:
        if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
            yield from _key_faults(value, steps, done)
            continue
        key.tag, line = _TEXT, key.start_mark.line + 1
        if key.value in first_lines:
            where = f"line {first_lines[key.value]} and line {line}"
            yield Fault(place((*steps, key.value)), f"duplicate key: {where}")
        first_lines.setdefault(key.value, line)
        yield from _key_faults(value, (*steps, key.value), done)


def with_settings(content: Any, settings: Mapping[str, str]) -> tuple[Any, list[Fault]]:
    """Return `content` with every `${NAME}` replaced by that setting and every `$${` by `${`.

    A text with a missing setting becomes None, and a fault says why.
    """
    faults: list[Fault] = []

    def replaced(value: Any, steps: Steps) -> Any:
        if isinstance(value, dict):
            return {key: replaced(inner, (*steps, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [replaced(inner, (*steps, position)) for position, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        wrong = [sentence for found in _SETTING.finditer(value) if (sentence := _trouble(found, settings))]
        faults.extend(Fault(place(steps), sentence) for sentence in wrong)
        return None if wrong else _SETTING.sub(lambda found: settings[found[1]] if found[2] else "${", value)

    return replaced(content, ()), faults


def _trouble(found: re.Match[str], settings: Mapping[str, str]) -> str | None:
    if found[0] == "$${":
        return None
    if not found[2] or not _SETTING_NAME.fullmatch(found[1]):
        return f"{found[0]} is not a valid ${{NAME}}; write $${{ for a literal ${{"
    if found[1] not in settings:
        return f"the setting {found[1]} is missing; add it to the app's settings"
    return None
