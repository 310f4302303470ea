"""What commands and pipelines refer to with `${{…}}`: each must be declared, or Azure ML refuses the job."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlpromote.checking.documents import Document, is_remote, mapping, read, texts
from mlpromote.checking.findings import Finding, Rule
from shared.config.wording import did_you_mean

_REFERENCE = re.compile(r"\$\{\{\s*([^}\s]+)\s*\}\}")
#: Of a command: what is left out as long as the optional input in it has no value.
_OPTIONAL_PART = re.compile(r"\$\[\[.*?\]\]", re.DOTALL)
_SCRIPT = re.compile(r"\s*python3?\s+(?P<file>[\w./-]+\.py)(\s|$)")


def of_command(document: Document) -> Iterator[Finding]:
    """Yield what the command of a job or a component refers to that the file does not declare."""
    command = document.content.get("command")
    if not isinstance(command, str):
        return
    for kind, name in _referred(command, 2):
        if kind in ("inputs", "outputs"):
            yield from _undeclared(document, ("command",), f"${{{{{kind}.{name}}}}}", kind, name)
    required = {name for kind, name in _referred(_OPTIONAL_PART.sub("", command), 2) if kind == "inputs"}
    for name, declared in mapping(document.content.get("inputs")).items():
        if name in required and mapping(declared).get("optional") is True and "default" not in mapping(declared):
            says = f"input {name} is optional, so its argument belongs between $[[ and ]]"
            yield document.fault(("command",), says, Rule.REFERENCE)
    yield from _missing_script(document, command)


def _missing_script(document: Document, command: str) -> Iterator[Finding]:
    script = _SCRIPT.match(command)
    for code in texts(document.content.get("code")):
        folder = document.file.parent / code
        is_all_there = folder.is_dir() and not is_remote(code) and "additional_includes" not in document.content
        if script and is_all_there and not (folder / script["file"]).exists():
            yield document.fault(("command",), f"there is no {script['file']} in {code}", Rule.REFERENCE)


def of_pipeline(document: Document) -> Iterator[Finding]:
    """Yield what the steps of a pipeline refer to that is not there, and inputs that do not fit their components."""
    steps = mapping(document.content.get("jobs"))
    for name, step in steps.items():
        where = ("jobs", str(name))
        for key, bound in mapping(mapping(step).get("inputs")).items():
            for text in _bound(bound):
                yield from _of_binding(document, (*where, "inputs", str(key)), text)
        for key, bound in mapping(mapping(step).get("outputs")).items():
            for _, kind, output in _referred(text := " ".join(_bound(bound)), 3):
                if kind == "outputs":
                    yield from _undeclared(document, (*where, "outputs", str(key)), text, kind, output)
        yield from _of_inputs(document, where, mapping(step))


def _of_binding(document: Document, where: tuple[str, ...], text: str) -> Iterator[Finding]:
    """Of one input: `parent.inputs.NAME`, or `parent.jobs.STEP.outputs.NAME`."""
    for parts in _REFERENCE.findall(text):
        match parts.split("."):
            case ["parent", "inputs", name, *_]:
                yield from _undeclared(document, where, text, "inputs", name)
            case ["parent", "jobs", step, "outputs", name, *_]:
                steps = mapping(document.content.get("jobs"))
                made = _declared(document, mapping(steps.get(step)), "outputs")
                if step not in steps:
                    says = f"{text}: there is no step {step}; {did_you_mean(step, steps)}"
                    yield document.fault(where, says, Rule.REFERENCE)
                elif made is not None and name not in made:
                    says = f"{text}: step {step} has no output {name}; {did_you_mean(name, made)}"
                    yield document.fault(where, says, Rule.REFERENCE)


def _of_inputs(document: Document, where: tuple[str, ...], step: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a step whose component can be read: inputs that it does not have, and those that it needs."""
    if "component" not in step:
        return
    declared, given = _declared(document, step, "inputs"), mapping(step.get("inputs"))
    if declared is None:
        return
    for name in given.keys() - declared.keys():
        says = f"the component has no input {name}; {did_you_mean(name, declared)}"
        yield document.fault((*where, "inputs", str(name)), says, Rule.REFERENCE)
    for name, each in declared.items():
        is_needed = isinstance(each, dict) and each.get("optional") is not True and "default" not in each
        if is_needed and name not in given:
            yield document.fault((*where, "inputs"), f"the component needs input {name}", Rule.REFERENCE)


def _declared(document: Document, step: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """The inputs or outputs that a step's component declares; None if the component cannot be read here."""
    component = step.get("component")
    if isinstance(component, dict):
        return mapping(component.get(kind))
    found = component_of(document.file, component)
    if found is not None:
        return mapping(found.get(kind))
    return mapping(step.get(kind)) if component is None and isinstance(step.get("command"), str) else None


def component_of(file: Path, component: Any) -> Mapping[str, Any] | None:
    """What a component's file holds, named in a pipeline's file; None if it is no local file that can be read."""
    if not isinstance(component, str) or is_remote(component):
        return None
    found = read(file.parent / component.removeprefix("file:"), component, None)
    return found.content if isinstance(found, Document) else None


def _undeclared(document: Document, where: tuple[str, ...], text: str, kind: str, name: str) -> Iterator[Finding]:
    declared = mapping(document.content.get(kind))
    if name not in declared:
        says = f"{text}: there is no {kind.removesuffix('s')} {name}; {did_you_mean(name, declared)}"
        yield document.fault(where, says, Rule.REFERENCE)


def _referred(text: str, size: int) -> list[tuple[str, ...]]:
    """The first parts of each reference that has as many."""
    found = (tuple(each.split(".")) for each in _REFERENCE.findall(text))
    return list(dict.fromkeys(parts[:size] for parts in found if len(parts) >= size))


def _bound(value: Any) -> Iterator[str]:
    """The text that an input or output is bound to: written alone, or as its path."""
    yield from texts(value)
    yield from texts(mapping(value).get("path"))
