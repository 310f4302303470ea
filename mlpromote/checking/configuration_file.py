"""The configuration by the app's own rules: `promotion.yml`, whole or a team's, and `platform.yml`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlpromote.checking.documents import Document
from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.positions import Position, Positions, positions
from shared.config import agreement, document, wording
from shared.config.configuration import Configuration
from shared.config.faults import ConfigurationFaults, Fault
from shared.config.platform import SOURCES, load_platform
from shared.config.team import TeamConfiguration

#: Keys that make a `promotion.yml` a whole configuration; without them, it is a team's.
_OF_A_WHOLE_ONE = frozenset({"registry", "environments"})
_LINE = re.compile(r"line (\d+), column (\d+)")
_UNKNOWN = re.compile("the setting (.+) is missing;")


@dataclass(frozen=True)
class Examined:
    """A configuration file and what is wrong with it."""

    findings: list[Finding]
    document: Document | None  #: None if it cannot be read; its settings are filled in
    routes: tuple[str, ...] = ()  #: of a valid file: each in a line of words
    is_team: bool = False  #: whether it is published as a bundle, with the files that it names


def examine(file: Path, settings: Mapping[str, str]) -> Examined:
    """Apply the rules. A setting that is not in `settings` is a note, and what depends on it is not checked."""
    try:
        content, faults = document.read(file)
    except ConfigurationFaults as unreadable:
        return Examined([_unreadable(file, fault) for fault in unreadable.faults], None)
    if not isinstance(content, dict):
        content = content if content is not None else {}
    text = file.read_text(encoding="utf-8")
    where = positions(text)
    is_platform = isinstance(content, dict) and SOURCES in content
    is_team = isinstance(content, dict) and not is_platform and not _OF_A_WHOLE_ONE & content.keys()
    content, missing = document.with_settings(content, {} if is_team else settings)
    routes: tuple[str, ...] = ()
    if is_platform:
        faults += _of_platform(file, settings, missing)
    else:
        model = TeamConfiguration if is_team else Configuration
        found, made = _validated(model, content, missing)
        faults += [*map(_of_platform_or_here, found), *agreement.faults(content)]
        routes = tuple(_told(made)) if made is not None else ()
    findings = [_finding(file, fault, where.of(fault.place)) for fault in dict.fromkeys(faults)]
    findings += _of_settings(file, missing, where, is_team)
    read = Document(file, content, where) if isinstance(content, dict) else None
    return Examined(findings, read, () if findings else routes, is_team)


def _validated(model: type[BaseModel], content: Any, missing: list[Fault]) -> tuple[list[Fault], Any]:
    try:
        return [], model.model_validate(content)
    except ValidationError as refusal:
        unset = {fault.place for fault in missing}
        return [fault for fault in wording.of_shape(refusal, model, content) if fault.place not in unset], None


def _of_platform(file: Path, settings: Mapping[str, str], missing: list[Fault]) -> list[Fault]:
    try:
        load_platform(file, settings)
    except ConfigurationFaults as refusal:
        return [fault for fault in refusal.faults if fault not in missing]
    return []


def _of_platform_or_here(fault: Fault) -> Fault:
    """Registry and environments come together, or belong to the file of the platform."""
    if fault.place not in _OF_A_WHOLE_ONE or fault.sentence != "is missing":
        return fault
    [other] = _OF_A_WHOLE_ONE - {fault.place}
    return Fault(fault.place, f"is missing; or, if you publish this file to an app of another team, remove {other}")


def _told(made: Any) -> Iterator[str]:
    for name, route in made.routes.items():
        yield f"{name}: {route.about}: {' → '.join([route.source, *(stage.name for stage in route.stages)])}"


def _finding(file: Path, fault: Fault, where: Position) -> Finding:
    return Finding(file, where.line, where.column, str(fault), Rule.CONFIGURATION)


def _unreadable(file: Path, fault: Fault) -> Finding:
    found = _LINE.fullmatch(fault.place)
    line, column = (int(found[1]), int(found[2])) if found else (1, 1)
    return Finding(file, line, column, fault.sentence, Rule.CONFIGURATION)


def _of_settings(file: Path, missing: list[Fault], where: Positions, is_team: bool) -> Iterator[Finding]:
    """Yield faults of settings, and one note on those that are not known here."""
    unknown: dict[str, Fault] = {}
    for fault in missing:
        found = _UNKNOWN.match(fault.sentence)
        if found and is_team:
            says = f"{fault.place}: a team's configuration has no settings of the app; write the value itself"
            at = where.of(fault.place)
            yield Finding(file, at.line, at.column, says, Rule.CONFIGURATION)
        elif found:
            unknown.setdefault(found[1], fault)
        else:
            yield _finding(file, fault, where.of(fault.place))
    if unknown:
        at = where.of(next(iter(unknown.values())).place)
        says = (
            f"not set here: {', '.join(unknown)}. What depends on settings of the app is not checked. Set them as "
            "variables, or give a file of NAME=value lines with --settings"
        )
        yield Finding(file, at.line, at.column, says, Rule.SETTING, is_note=True)
