"""Digests of a pipeline's parts: equal for equal content, wherever it is registered. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import yaml

from shared.config import plain_yaml
from shared.ports import Component, EnvironmentAsset, RejectedError

#: Of a digest that is a version or part of a name. What is compared is always the whole.
VERSION_LENGTH = 32

#: Values that a conda file may have. A few lines of YAML can stand for millions.
_MOST_VALUES = 10_000

#: Values that the service fills in, at one time or another.
_DEFAULTS = (("optional", "false"), ("instance_count", "1"))
#: Says whether an earlier run may be reused, which a promoted pipeline never does.
_OF_REUSE = "is_deterministic"


@dataclass(frozen=True)
class Snapshot:
    """The files of a code asset."""

    digest: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  #: SHA-256 by path


def digest_of(content: Any) -> str:
    """SHA-256, in hex, of JSON values. The order of keys does not affect it."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def snapshot(files: Mapping[str, bytes]) -> Snapshot:
    hashed = {path: sha256(content).hexdigest() for path, content in sorted(files.items())}
    return Snapshot(digest_of(hashed), hashed)


def environment_digest(asset: EnvironmentAsset) -> str:
    """Return the digest of what an environment is built from. Raises `RejectedError` for an invalid conda file."""
    return digest_of([asset.image, _conda(asset), asset.build, asset.dockerfile])


def conda_as_json(asset: EnvironmentAsset) -> str:
    """Return the conda file as JSON, which is also YAML; registries return it in this form."""
    return json.dumps(_conda(asset), sort_keys=True) if asset.conda else ""


def _conda(asset: EnvironmentAsset) -> Any:
    if not asset.conda:
        return None
    try:
        content = plain_yaml.load(asset.conda)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise RejectedError(f"The conda file of environment {asset.name} is not valid YAML: {fault}") from fault
    if _left(content, _MOST_VALUES + 1) == 0:
        raise RejectedError(f"The conda file of environment {asset.name} has more than {_MOST_VALUES} values.")
    return content


def _left(value: Any, left: int) -> int:
    """Return how many more values are allowed after this one, which may contain others."""
    if left == 0:
        return 0
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    left -= 1
    for each in inner:
        left = _left(each, left)
    return left


def component_digest(component: Component, code: str, environment: str) -> str:
    """Return the digest of a component from the digests of its code and environment. The environment's may be empty if
    its id identifies the content."""
    content = _plain({key: each for key, each in component.specification.items() if key != _OF_REUSE})
    return digest_of([component.kind, content, code, component.environment.casefold(), environment])


def _plain(value: Any, key: str = "") -> Any:
    """Remove what the service may fill in, and normalise the case where the service changes it."""
    if isinstance(value, Mapping):
        kept = {name: _plain(each, name) for name, each in value.items() if not _is_default(name, each)}
        return {name: each for name, each in kept.items() if each not in ({}, [])}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.casefold() if key in ("type", "distribution_type") and isinstance(value, str) else value


def _is_default(name: str, value: Any) -> bool:
    return isinstance(value, str) and (name, value.casefold()) in _DEFAULTS
