"""From the file to the configuration, or to all of its faults at once."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from shared.config import agreement, document, wording
from shared.config.configuration import Configuration
from shared.config.faults import ConfigurationFaults


def load(path: Path, settings: Mapping[str, str]) -> Configuration:
    """The configuration in the YAML file at `path`, with each `${NAME}` taken from `settings`.

    Raises ConfigurationFaults with everything that is wrong.
    """
    content, found = document.read(path)
    content, missing = document.with_settings(content, settings)
    found += missing
    configuration = None
    try:
        configuration = Configuration.model_validate(content)
    except ValidationError as refusal:
        unset = {fault.place for fault in missing}
        found += [fault for fault in wording.of_shape(refusal, Configuration, content) if fault.place not in unset]
    found += agreement.faults(content)
    if configuration is None or found:
        raise ConfigurationFaults(path, found)
    return configuration
