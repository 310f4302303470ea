"""The workspaces and registries of the configuration, and the routes below them."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from localcloud.azureml.configuration import Settings, TopicSettings
from localcloud.azureml.wire import AzureError

PROVIDER = "Microsoft.MachineLearningServices"
TENANT = str(uuid.UUID(int=1))
SUBSCRIPTION = "/subscriptions/{subscription}"
RESOURCE_GROUP = SUBSCRIPTION + "/{_groups:(?i:resourceGroups)}/{resource_group}"
_PROVIDER = "/providers/{_provider:(?i:Microsoft\\.MachineLearningServices)}"
_ARM = RESOURCE_GROUP + _PROVIDER
#: All workspaces of a subscription or a resource group, after its pattern.
WORKSPACES = _PROVIDER + "/workspaces"
#: Patterns that the routes of a workspace and of a registry's data plane begin with.
WORKSPACE = _ARM + "/workspaces/{workspace}"
#: A region, as a subscription has it.
LOCATION = SUBSCRIPTION + _PROVIDER + "/locations/{location}"
#: Of a registry as a resource of the control plane.
ARM_REGISTRY = _ARM + "/registries/{registry}"
REGISTRY = "/mferp/managementfrontend" + _ARM + "/registries/{registry}"


@dataclass(frozen=True)
class Scope:
    """A workspace or a registry: what owns assets and what roles are assigned on."""

    path: str  # its ARM id
    location: str
    topic: TopicSettings | None = None
    #: Of a workspace: what opens its datastores.
    datastore_secrets: str = "Sas"
    #: Of a workspace: the names of its clusters; None: every name is one.
    computes: tuple[str, ...] | None = None
    #: Of a workspace: the client ids of its clusters' managed identities, by cluster, and of its own.
    compute_identities: Mapping[str, str] = field(default_factory=dict, hash=False)
    identities: tuple[str, ...] = ()
    #: Of a workspace: whether jobs read its data as their own identity.
    reads_data_by_identity: bool = False
    #: Of a registry: where what is in it can be used.
    regions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]

    def has_compute(self, name: str) -> bool:
        return self.computes is None or name.lower() in (each.lower() for each in self.computes)

    def identity_of_compute(self, name: str) -> str:
        """The client id of the cluster's managed identity; empty without one."""
        found = (each for cluster, each in self.compute_identities.items() if cluster.lower() == name.lower())
        return next(found, "")

    @property
    def is_registry(self) -> bool:
        return "/registries/" in self.path

    @property
    def subscription(self) -> str:
        return self.path.split("/")[2]

    @property
    def resource_group(self) -> str:
        return self.path.split("/")[4]

    @property
    def guid(self) -> str:
        """The workspace's immutable id; here derived from its ARM id."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.path.lower()))

    @property
    def account(self) -> str:
        """The name of its storage account."""
        return "st" + self.guid.replace("-", "")[:16]

    @property
    def storage_account(self) -> str:
        """The ARM id of its storage account."""
        return f"{self.path.split('/providers/')[0]}/providers/Microsoft.Storage/storageAccounts/{self.account}"


class Scopes:
    """Finds workspaces and registries by ARM path, by name and by guid."""

    def __init__(self, settings: Settings) -> None:
        self.workspaces = [
            Scope(
                *(w.id, w.location, w.topic, w.datastore_secrets, w.computes),
                compute_identities=w.compute_identities,
                identities=w.identities,
                reads_data_by_identity=w.reads_data_by_identity,
            )
            for w in settings.workspaces
        ]
        everywhere = tuple(workspace.location for workspace in self.workspaces)
        self.registries = [
            Scope(
                f"/subscriptions/{r.subscription}/resourceGroups/{r.resource_group}"
                f"/providers/{PROVIDER}/registries/{r.name}",
                r.location,
                regions=tuple(dict.fromkeys((r.location, *(everywhere if r.regions is None else r.regions)))),
            )
            for r in settings.registries
        ]

    def of(self, path: str) -> Scope | None:
        """The workspace or registry that the ARM path is in."""
        lower = path.lower() + "/"
        both = (*self.workspaces, *self.registries)
        return next((scope for scope in both if lower.startswith(scope.path.lower() + "/")), None)

    def requested(self, request: web.Request) -> Scope:
        """The scope in the path of the request; 404 when it is not configured."""
        found = self.of(arm_path(request))
        if not found:
            part = request.match_info
            kind, name = ("workspaces", part["workspace"]) if "workspace" in part else ("registries", part["registry"])
            raise AzureError(
                404,
                "ResourceNotFound",
                f"The Resource '{PROVIDER}/{kind}/{name}' under resource group '{part['resource_group']}' was not"
                " found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            )
        return found

    def registry(self, name: str) -> Scope | None:
        return _named(self.registries, name)

    def workspace(self, name: str) -> Scope | None:
        return _named(self.workspaces, name)

    def workspace_with_guid(self, guid: str) -> Scope | None:
        return next((workspace for workspace in self.workspaces if workspace.guid == guid.lower()), None)


def arm_path(request: web.Request) -> str:
    """The unescaped ARM path that the request is about, without a data plane's prefix and without a trailing slash."""
    path = request.path
    start = path.lower().find("/subscriptions/")
    return path[max(start, 0) :].rstrip("/")


def _named(scopes: Iterable[Scope], name: str) -> Scope | None:
    return next((scope for scope in scopes if scope.name.lower() == name.lower()), None)
