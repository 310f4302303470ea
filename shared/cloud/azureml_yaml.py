"""What files in Azure ML's own YAML have in common: how they are read, and the environment that they define."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from shared.cloud.azureml_errors import brief
from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_uploads import is_remote, local_files
from shared.config import plain_yaml
from shared.ports import RejectedError


def mapping(file: Path, kind: str, key: str = "deployment") -> dict[str, Any]:
    """The content of a file that describes something of this kind; `key`: the stage's setting that names the file.

    Raises `RejectedError` if it is no mapping.
    """
    word = key.partition("_")[0]
    try:
        content = plain_yaml.load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise RejectedError(f"There is no {word} file {file}. Correct `{key}` of the stage.") from fault
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:  # `ValueError`: an impossible date, say
        raise RejectedError(f"The {word} file {file.name} cannot be read: {brief(str(fault))}") from fault
    if not isinstance(content, dict):
        raise RejectedError(f"The {word} file {file.name} does not describe a {kind} in YAML.")
    return content


@contextmanager
def usable(file: Path, word: str) -> Iterator[None]:
    """Turn what the SDK raises as it loads the file into a `RejectedError`; `word`: what the file describes."""
    with importing():
        from azure.ai.ml.exceptions import MlException
    from marshmallow import ValidationError

    try:
        yield
    except (MlException, ValidationError, ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        # The SDK does not document what it raises for content of the wrong shape. These were observed.
        raise RejectedError(f"The {word} file {file.name} cannot be used: {brief(str(fault))}") from fault


def environment_of_workspace(content: Mapping[str, Any]) -> str:
    """The environment asset that a file names by the name that it has in some workspace; empty for any other."""
    environment = content.get("environment")
    is_short = isinstance(environment, str) and environment.startswith("azureml:") and "/" not in environment
    return str(environment) if is_short else ""


def environment_files(file: Path, content: Mapping[str, Any]) -> Iterator[Path]:
    """The conda file and build context of an environment that the file describes."""
    environment = content.get("environment")
    environment = environment if isinstance(environment, dict) else {}
    build = environment.get("build")
    for place in (environment.get("conda_file"), build.get("path") if isinstance(build, dict) else None):
        if isinstance(place, str) and not is_remote(place):
            yield from local_files(file, file.parent / place)
