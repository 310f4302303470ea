"""A pipeline that a route promotes from a file: whether it can be promoted, and fits what the stages say of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlpromote.checking.documents import Document, mapping, texts
from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.references import component_of
from shared.config.faults import Steps
from shared.config.wording import did_you_mean

#: The only type of step that can be rebuilt in a registry.
_COMMAND = "command"
#: Types of inputs that are values; others are data.
_VALUES = frozenset({"string", "number", "integer", "boolean"})
#: A version of a data asset in a workspace.
_DATA = re.compile(r"(azureml:)?[^:@/]+(:[^:@/]+|@latest)")


def of_steps(definition: Document) -> Iterator[Finding]:
    """Yield the steps that no promotion can rebuild."""
    for name, step in mapping(definition.content.get("jobs")).items():
        component = component_of(definition.file, mapping(step).get("component"))
        kinds = [mapping(each).get("type") for each in (step, component)]
        kind = next((each for each in kinds if each and each != _COMMAND), _COMMAND)
        if kind != _COMMAND:
            says = f"step {name} is of type {kind}, but only steps of type {_COMMAND} can be promoted"
            yield definition.fault(("jobs", str(name)), says, Rule.CONFIGURATION)


def of_stage(
    configuration: Document, stage: Mapping[str, Any], steps: Steps, definition: Document
) -> Iterator[Finding]:
    """Yield what a stage says of the pipeline's inputs and outputs that does not fit. `steps`: the stage's place."""
    outputs = mapping(definition.content.get("outputs"))
    for output in texts(mapping(stage.get("register")).get("output")):
        if output not in outputs:
            says = f"the pipeline has no output {output}; {did_you_mean(output, outputs)}"
            yield configuration.fault((*steps, "register", "output"), says, Rule.CONFIGURATION)
    given = mapping(mapping(stage.get("run")).get("inputs"))
    inputs = dict(_inputs(definition))
    where = (*steps, "run", "inputs")
    for name in given.keys() - inputs.keys():
        says = f"the pipeline has no input {name}; {did_you_mean(name, inputs)}"
        yield configuration.fault((*where, name), says, Rule.CONFIGURATION)
    for name in (each for each, is_data in inputs.items() if is_data):
        if name not in given:
            says = f"must give data for the pipeline's input {name}: NAME@latest or NAME:VERSION"
            yield configuration.fault(where, says, Rule.CONFIGURATION)
        elif not _DATA.fullmatch(str(given[name])):
            says = f"{name} is data: must be NAME@latest or NAME:VERSION, not {str(given[name])!r}"
            yield configuration.fault((*where, name), says, Rule.CONFIGURATION)


def _inputs(definition: Document) -> Iterator[tuple[str, bool]]:
    """The inputs of the pipeline that is promoted, and whether each is data. Data that a step names becomes one."""
    for name, value in mapping(definition.content.get("inputs")).items():
        yield str(name), _is_data(value)
    for step, content in mapping(definition.content.get("jobs")).items():
        for name, value in mapping(mapping(content).get("inputs")).items():
            if _is_data(value) and not any("${{" in text for text in texts(mapping(value).get("path"))):
                yield f"{step}_{name}", True


def _is_data(value: Any) -> bool:
    """Whether an input is a mapping with a type of data, or one that names data."""
    if not isinstance(value, dict):
        return False
    return str(value.get("type") or "uri_folder") not in _VALUES and "path" in value
