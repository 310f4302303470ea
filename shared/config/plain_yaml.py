"""Reads YAML as plain data, such as Azure ML's files, with the parser that is written in C."""

from typing import Any

import yaml

#: The C parser is ten times faster, but PyYAML can be installed without it.
LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def load(text: str) -> Any:
    """The content of one document. Raises what `yaml.safe_load` raises."""
    return yaml.load(text, LOADER)
