"""The form of the configuration file of the local Azure ML."""

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from localcloud.azureml.faults import Fault
from localcloud.configuration_file import ConfigurationError, Section, read_configuration

BUILT_IN_ROLES = (
    *("AzureML Data Scientist", "AzureML Registry User", "Contributor", "Monitoring Reader", "Reader"),
    "Storage Blob Data Reader",
)
_WORKSPACE_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+",
    re.IGNORECASE,
)

#: What `--help` shows; docs/parts.md has all keys.
EXAMPLE = """\
workspaces:
  - id: /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.MachineLearningServices/workspaces/ws-dev
registries: [{name: contoso-ml}]
deployment_seconds: 5
"""


class TopicSettings(Section):
    """The Event Grid topic that a workspace's events are posted to."""

    endpoint: str = Field(pattern=r"^https?://")
    key: str = ""


class EventSubscriptionSettings(Section):
    """A subscription to a workspace's events, as Azure lists it; the Event Grid part delivers the events."""

    name: str
    endpoint: str = Field(pattern=r"^https?://")
    included_event_types: tuple[str, ...] = ()


class WorkspaceSettings(Section):
    """A workspace by its ARM id."""

    id: str
    location: str = "westeurope"
    topic: TopicSettings | None = None
    event_subscriptions: tuple[EventSubscriptionSettings, ...] = ()
    #: What `listSecrets` returns for its datastores.
    datastore_secrets: Literal["Sas", "AccountKey"] = "Sas"
    #: The names of its clusters. None: every name is one.
    computes: tuple[str, ...] | None = None
    #: The managed identities of clusters: client ids by the cluster's name.
    compute_identities: dict[str, str] = Field(default_factory=dict)
    #: The client ids of the workspace's own managed identities, which its serverless jobs may name.
    identities: tuple[str, ...] = ()
    #: Jobs read the workspace's data as their own identity, which needs the role Storage Blob Data Reader, as with
    #: datastores that keep no credentials.
    reads_data_by_identity: bool = False

    @field_validator("id")
    @classmethod
    def _is_arm_id(cls, value: str) -> str:
        if not _WORKSPACE_ID.fullmatch(value):
            raise ValueError("must be the ARM id of a workspace, /subscriptions/…/resourceGroups/…/workspaces/NAME")
        return value


class RegistrySettings(Section):
    """A registry by its name, which is unique in all of Azure; the place of its ARM resource hardly matters."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{1,32}$")]
    location: str = "westeurope"
    #: Its replicas, in addition to its location. Default: the locations of all workspaces.
    regions: tuple[str, ...] | None = None
    subscription: str = "00000000-0000-0000-0000-0000000000aa"
    resource_group: str = "registries"


class RoleAssignment(Section):
    """Gives the identity with this client id a role on a workspace, on a registry, or on everything below a shorter ARM
    id.
    """

    principal: str
    #: One of Azure's own, or of `custom_roles`.
    role: str
    scope: str


class CustomRole(Section):
    """A role that the subscription defines, by its actions, in which `*` stands for anything."""

    name: str = Field(min_length=1)
    actions: tuple[str, ...]


class ClockSettings(Section):
    """The clock that schedules run by."""

    #: What it shows when the local cloud starts for the first time. None: the time of this machine.
    starts: AwareDatetime | None = None
    #: How many of its seconds pass in a real second.
    speed: float = Field(default=1, gt=0)


class MetricsSettings(Section):
    """Azure Monitor's metrics of online endpoints."""

    #: How long after its answer a request shows in the metrics; mostly under a minute on Azure.
    delay_seconds: float = Field(default=2, ge=0)
    #: How long a minute of the metrics lasts, for tests and demos that cannot wait for 60 s.
    minute_seconds: float = Field(default=60, gt=0)
    #: Whether copies of requests for a mirror are counted.
    counts_mirrored: bool = True


class QuotaSettings(Section):
    """How many cores deployments may take in a subscription and a region, together and of each family of sizes."""

    #: None: every one.
    subscription: str | None = None
    location: str | None = None
    cores: int = Field(default=10_000, ge=0)
    cores_of_family: int = Field(default=10_000, ge=0)
    #: By family, such as `DSv2`; those that are not here have `cores_of_family`.
    families: dict[str, int] = Field(default_factory=dict)

    def covers(self, subscription: str, location: str) -> bool:
        """Whether it is a quota of this subscription in this region."""
        return all(
            own is None or own.lower() == given.lower()
            for own, given in ((self.subscription, subscription), (self.location, location))
        )


class Settings(Section):
    """The whole file."""

    workspaces: list[WorkspaceSettings] = Field(min_length=1)
    registries: list[RegistrySettings] = Field(default_factory=list)
    #: The key that bearer tokens are signed with (HS256). Without it any well-formed token is accepted.
    token_key: Path | None = None
    #: Without it everybody may do everything.
    role_assignments: list[RoleAssignment] | None = None
    custom_roles: list[CustomRole] = Field(default_factory=list)
    deployment_seconds: float = Field(5, ge=0)
    #: How long an endpoint shows and routes its old traffic after an update was asked for; tens of seconds on Azure.
    endpoint_update_seconds: float = Field(0.3, ge=0)
    metrics: MetricsSettings = MetricsSettings()
    #: The first one that covers a subscription and a region counts there.
    quotas: list[QuotaSettings] = Field(default_factory=list)
    job_start_seconds: float = Field(0, ge=0)
    #: How long a job that is being cancelled takes to end; minutes on Azure.
    cancellation_seconds: float = Field(0, ge=0)
    #: How long the image of an environment is built: of a registry's before its version exists, of a workspace's when
    #: a job first uses it.
    environment_build_seconds: float = Field(0, ge=0)
    schedule_clock: ClockSettings = ClockSettings()
    #: The interpreter that jobs and inference servers run in. Default: the one that runs the local cloud.
    python: Path = Path(sys.executable)
    faults: list[Fault] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_differ(self) -> "Settings":
        for what, names in (
            ("workspaces", [workspace.id.rsplit("/", 1)[1].lower() for workspace in self.workspaces]),
            ("registries", [registry.name.lower() for registry in self.registries]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"the names of {what} must be unique, but these are used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _roles_are_known(self) -> "Settings":
        known = (*BUILT_IN_ROLES, *(role.name for role in self.custom_roles))
        unknown = sorted({each.role for each in self.role_assignments or () if each.role not in known})
        if unknown:
            raise ValueError(f"there are no roles {', '.join(unknown)}; known here: {', '.join(known)}")
        return self


def read_settings(file: Path) -> Settings:
    """Reads a YAML or JSON file; relative paths in it start at its folder. Raises `ConfigurationError`."""
    settings = read_configuration(file, Settings)
    folder = file.absolute().parent
    # Not resolved: the interpreter of a virtual environment is a link that must be called as such.
    python = folder / settings.python
    if not python.is_file():
        raise ConfigurationError(f"{file}: python: there is no interpreter {python}")
    key = folder / settings.token_key if settings.token_key else None
    return settings.model_copy(update={"token_key": key, "python": python})
