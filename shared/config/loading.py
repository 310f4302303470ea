"""From the file to the configuration, or to all of its faults at once."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from shared.config import agreement, document, faults
from shared.config.configuration import Configuration
from shared.config.faults import ConfigurationFaults, Fault


def load(path: Path, settings: Mapping[str, str]) -> Configuration:
    """The configuration in the YAML file at `path`, with each `${NAME}` taken from `settings`.

    Raises ConfigurationFaults with everything that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as refusal:
        raise ConfigurationFaults(path, [Fault("(top)", f"cannot be read: {refusal.strerror}")]) from refusal
    except UnicodeDecodeError as refusal:
        raise ConfigurationFaults(path, [Fault("(top)", "is not text in UTF-8")]) from refusal
    try:
        content, found = document.read(text)
        content, missing = document.with_settings(content, settings)
    except RecursionError as refusal:
        raise ConfigurationFaults(path, [Fault("(top)", "contains itself, or is nested too deeply")]) from refusal
    if content is None and found:
        raise ConfigurationFaults(path, found)
    found += missing
    configuration = None
    try:
        configuration = Configuration.model_validate(content)
    except ValidationError as refusal:
        unset = {fault.place for fault in missing}
        found += [fault for fault in faults.of_shape(refusal, Configuration, content) if fault.place not in unset]
    found += agreement.faults(content)
    if configuration is None or found:
        raise ConfigurationFaults(path, found)
    return configuration
