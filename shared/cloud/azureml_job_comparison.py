"""Compares a job in the workspace with the one that would be submitted under its name.

Tags can be changed by whoever may submit jobs; what is compared here cannot.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_uploads import content_hash, is_remote
from shared.core.asset_names import plain_id

if TYPE_CHECKING:
    from azure.ai.ml.entities import Command

_CODES = "2023-04-01"
#: The end of an asset's id: in a workspace, in a registry, and as a short name.
_LONG = re.compile(r"(?P<scope>.*)/(?P<kind>\w+)/(?P<name>[^/]+)/(versions|labels)/(?P<version>[^/]+)", re.IGNORECASE)
_SHORT = re.compile(r"(?P<name>[^:/@]+)(?:[:@](?P<version>[^:/@]+))?")
_REGISTRY = re.compile(r"azureml://registries/(?P<name>[^/]+)", re.IGNORECASE)


def differences(rest: Rest, there: Mapping[str, Any], wanted: "Command") -> Iterator[str]:
    """Yield how the jobs differ. `there`: the job's properties from the control plane."""
    if str(there.get("command") or "").strip() != str(wanted.command or "").strip():
        yield "its command"
    if not _same_code(rest, there, wanted):
        yield "its code"
    if not _same_environment(str(there.get("environmentId") or ""), wanted.environment):
        yield "its environment"
    if _own(there.get("environmentVariables")) != _own(wanted.environment_variables):
        yield "its environment variables"
    inputs: Mapping[str, Any] = there.get("inputs") or {}
    asked: Mapping[str, Any] = wanted._to_job().inputs or {}  # the builder's own inputs are references
    for name in sorted(inputs.keys() | asked.keys()):
        if not _same_input(_given(inputs.get(name)), _asked(asked.get(name))):
            yield f"its input {name}"


def _same_code(rest: Rest, there: Mapping[str, Any], wanted: "Command") -> bool:
    code, ours = plain_id(there.get("codeId")), str(wanted.code or "")
    if not code or not ours:
        return code == ours
    if is_remote(ours):
        return _reference(code) == _reference(ours)
    asset = rest.get(code, **{"api-version": _CODES}) or {}
    noted = ((asset.get("properties") or {}).get("properties") or {}).get("hash_sha256")
    return bool(noted) and noted == content_hash(Path(str(wanted.base_path), ours).resolve())


def _same_environment(there: str, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return _fits(_reference(there), _reference(wanted))
    # Inline: the SDK names it by a digest of its content.
    return wanted is not None and _fits(_reference(there), ("", str(wanted.name).lower(), str(wanted.version)))


def _fits(there: tuple[str, str, str], wanted: tuple[str, str, str]) -> bool:
    """Return whether two ids name the same asset. A label such as `latest` matches any version."""
    return there[:2] == wanted[:2] and wanted[2] in ("", "latest", there[2])


def _reference(asset: str) -> tuple[str, str, str]:
    """Return registry, name, and version or label; no registry for a workspace's asset. Azure does not keep case."""
    plain = plain_id(asset).lower()
    found = _LONG.fullmatch(plain) or _SHORT.fullmatch(plain)
    registry = _REGISTRY.match(plain)
    if not found:
        return "", plain, ""
    return registry["name"] if registry else "", found["name"], found["version"] or ""


def _same_input(given: str, asked: str) -> bool:
    """The control plane may answer with the short name of an asset of its own workspace."""
    is_short = given.startswith("azureml:") and not given.startswith(("azureml:/", "azureml://"))
    return given == asked or (is_short and is_remote(asked) and _reference(given[8:]) == _reference(asked))


def _given(declared: Any) -> str:
    """Return an input as the control plane has it."""
    if not declared:
        return ""
    return _value(declared.get("uri") or declared.get("value"))


def _asked(wanted: Any) -> str:
    """Return an input as the SDK has it: an `Input` or a value."""
    if wanted is None:
        return ""
    return _value(getattr(wanted, "path", None) or getattr(wanted, "default", None) or wanted)


def _value(value: Any) -> str:
    text = plain_id(str(value))
    return text.lower() if is_remote(text) else text


def _own(variables: Any) -> dict[str, str]:
    """Remove Azure ML's own, since it may add some."""
    texts = {str(name): str(value) for name, value in (variables or {}).items()}
    return {name: value for name, value in texts.items() if not name.upper().startswith(("AZUREML", "AZURE_ML"))}
