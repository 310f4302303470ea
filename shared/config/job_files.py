"""Checks an evaluation's job file against the contract, as far as that is possible without Azure."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.config import plain_yaml
from shared.config.evaluation import CHAMPION, MODEL, EvaluationSettings


def faults(file: Path, asked: EvaluationSettings) -> Iterator[str]:
    """Yield what is wrong, in sentences that name the file; nothing for a usable job."""
    try:
        content = plain_yaml.load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        yield f"there is no file {asked.job}"
        return
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as fault:
        yield f"{asked.job} cannot be read: {' '.join(str(fault).split())}"
        return
    if not isinstance(content, dict) or not isinstance(content.get("command"), str):
        yield f"{asked.job} is not a command job: it needs a command"
        return
    yield from _of_inputs(content.get("inputs"), asked)
    yield from _of_code(content.get("code"), file, asked.job)


def of_inputs(declared: Iterable[str], asked: EvaluationSettings) -> Iterator[str]:
    """Yield what is wrong with the names of a job's declared inputs."""
    names = set(declared)
    if MODEL not in names:
        yield f"{asked.job} needs an input {MODEL} for the model to evaluate"
    for name in sorted(asked.inputs.keys() - names):
        yield f"{asked.job} has no input {name}, but the stage gives data to it"
    compared = [gate.metric for gate in asked.gates if gate.no_worse_than_champion_by is not None]
    if compared and CHAMPION not in names:
        yield f"{asked.job} needs an input {CHAMPION}, because the gate on {compared[0]} compares with the champion"


def _of_inputs(inputs: Any, asked: EvaluationSettings) -> Iterator[str]:
    yield from of_inputs([str(name) for name in inputs] if isinstance(inputs, Mapping) else [], asked)


def _of_code(code: Any, file: Path, name: str) -> Iterator[str]:
    is_local = isinstance(code, str) and not code.startswith(("azureml:", "/subscriptions/")) and "://" not in code
    if is_local and not (file.parent / code).exists():
        yield f"{name}: there is no {code}, which it names as code"
