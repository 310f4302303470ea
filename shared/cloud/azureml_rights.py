"""Reads an identity's rights on a workspace or registry from Azure's access control, without trying any operation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.cloud.azureml_rest import Rest
from shared.ports import Capability

_API_VERSION = "2022-04-01"
_PROVIDER = "Microsoft.MachineLearningServices"
_ENDPOINTS = f"{_PROVIDER}/workspaces/onlineEndpoints"
_BATCH = f"{_PROVIDER}/workspaces/batchEndpoints"

#: The actions that steps need in addition to reading: for sharing on the registry, for the others on the workspace.
ACTIONS: Mapping[Capability, Sequence[str]] = {
    Capability.DEPLOY: (
        f"{_ENDPOINTS}/write",
        f"{_ENDPOINTS}/listKeys/action",
        f"{_ENDPOINTS}/deployments/write",
        f"{_ENDPOINTS}/deployments/delete",
        f"{_ENDPOINTS}/deployments/getLogs/action",
    ),
    Capability.DEPLOY_BATCH: (
        f"{_BATCH}/write",
        f"{_BATCH}/deployments/write",
        f"{_BATCH}/deployments/delete",
    ),
    # As how-to-authenticate-batch-endpoint lists it, and what reading the rows needs.
    Capability.INVOKE: (
        f"{_BATCH}/jobs/write",
        f"{_BATCH}/deployments/jobs/write",
        f"{_PROVIDER}/workspaces/jobs/cancel/action",
        f"{_PROVIDER}/workspaces/datastores/listSecrets/action",
    ),
    Capability.RUN: (
        f"{_PROVIDER}/workspaces/jobs/write",
        f"{_PROVIDER}/workspaces/jobs/cancel/action",
        f"{_PROVIDER}/workspaces/codes/versions/write",
        f"{_PROVIDER}/workspaces/datastores/listSecrets/action",
    ),
    Capability.REGISTER: (f"{_PROVIDER}/workspaces/models/versions/write",),
    Capability.SHARE: (f"{_PROVIDER}/registries/assets/write",),
    Capability.WATCH: ("Microsoft.Insights/metrics/read",),
    Capability.REPLAY: (f"{_PROVIDER}/workspaces/datastores/listSecrets/action",),
}


def missing(rest: Rest, scope: str, wanted: Iterable[str]) -> list[str]:
    """The wanted actions that no role of the identity allows on the scope, an ARM id."""
    listed: list[Mapping[str, Any]] = []
    address: str | None = f"{scope}/providers/Microsoft.Authorization/permissions"
    query = {"api-version": _API_VERSION}
    while address:
        page = rest.get(address, **query) or {}
        listed += page.get("value", [])
        address, query = page.get("nextLink"), {}
    return [action for action in wanted if not any(_allows(each, action) for each in listed)]


def _allows(permission: Mapping[str, Any], action: str) -> bool:
    return _is_among(action, permission.get("actions")) and not _is_among(action, permission.get("notActions"))


def _is_among(action: str, patterns: Iterable[str] | None) -> bool:
    """Whether a pattern matches the action. `*` matches anything, including slashes; case is ignored."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns or ()
    )
