"""Reads a part's configuration file (YAML or JSON) and reports every fault at once, each with its place."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from localcloud.configuration_faults import in_words


class ConfigurationError(Exception):
    """What is wrong with a configuration, one fault a line."""


class Section(BaseModel):
    """A part of a configuration file: unknown keys are faults, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Configuration = TypeVar("Configuration", bound=Section)


def read_configuration(path: Path, form: type[Configuration]) -> Configuration:
    """The content of a YAML or JSON file in the given form; raises `ConfigurationError` with all its faults."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # `ValueError`: an impossible date, say
        raise ConfigurationError(f"{path}: is neither YAML nor JSON: {error}") from error
    return check_configuration({} if content is None else content, form, str(path))


def check_configuration(content: Any, form: type[Configuration], name: str) -> Configuration:
    """The given content in the given form; `name` says in the faults where the content came from."""
    try:
        return form.model_validate(content)
    except ValidationError as error:
        faults = [f"{name}: {in_words(fault, form)}" for fault in error.errors()]
        raise ConfigurationError("\n".join(faults)) from error
