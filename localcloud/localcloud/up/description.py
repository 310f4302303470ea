"""The form of `localcloud.yml`, from which every part's own configuration is derived."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from localcloud.configuration_file import Section, read_configuration
from localcloud.eventgrid.events import Schema

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,40}$")]

#: Queues of the Standard tier with duplicate detection. Names and bounds are those of Microsoft's emulator, which
#: allows no longer window and no more deliveries.
QUEUE_PROPERTIES: dict[str, Any] = {
    "LockDuration": "PT1M",
    "MaxDeliveryCount": 10,
    "RequiresDuplicateDetection": True,
    "DuplicateDetectionHistoryTimeWindow": "PT5M",
}


class Environment(Section):
    """A workspace in its own subscription, with its own identity that has the environment's name."""

    subscription: str = Field(min_length=1)
    resource_group: str = Field(min_length=1)
    workspace: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{2,32}$")
    location: str = "westeurope"
    #: The names of the workspace's clusters. None: every name is one.
    computes: tuple[str, ...] | None = None
    #: Whether its identity is also a Reader of the subscription, so that it can read why a deployment failed.
    reads_subscription: bool = False
    #: Whether its identity may read what is left of the subscription's quota, and the sizes of virtual machines.
    reads_quota: bool = False

    @property
    def workspace_id(self) -> str:
        """The workspace's ARM id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace}"
        )


class Person(Section):
    """A person with an identity that may do everything in the cloud, and can sign in to the app."""

    #: App roles, as Entra ID would assign them.
    roles: tuple[str, ...] = ()
    #: Object ids of the groups that are assigned to the app and have this person as a member.
    groups: tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{36}$")], ...] = ()


class Queue(Section):
    """A Service Bus queue; `properties` override `QUEUE_PROPERTIES`."""

    name: str = Field(min_length=1)
    properties: dict[str, Any] = Field(default_factory=dict)


class SharedAccess(Section):
    """The rights of a shared access policy's key, by names of queues; `*` means all queues."""

    listen: tuple[str, ...] = ()
    send: tuple[str, ...] = ()


class Topic(Section):
    """One of the app's own Event Grid topics, for CloudEvents that it publishes with the topic's key."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{2,49}$")
    #: Subscribers: addresses that receive CloudEvents. The start does not wait for them.
    webhooks: tuple[str, ...] = ()


class EventSubscriptions(Section):
    """What the topics of all workspaces deliver to the app."""

    #: The app's function with an Event Grid trigger; or, with `path`, one with an HTTP trigger that takes events.
    function: str = Field(min_length=1)
    #: The path of the latter, such as `api/events`.
    path: str = Field(default="", pattern="^[A-Za-z0-9._/-]*$")
    #: Empty: all types.
    included_event_types: tuple[str, ...] = ()
    schema_: Schema = Field(default=Schema.EVENT_GRID, alias="schema")
    max_events_per_batch: int = Field(default=1, ge=1, le=5000)


class App(Section):
    """The Functions app to run."""

    #: In a file: relative to the file's folder.
    folder: Path = Path()
    #: Added to the environment; `{placeholders}` are replaced, `{{` and `}}` stand for braces.
    settings: dict[str, str] = Field(default_factory=dict)
    #: Module to run in the app's folder, with its settings, before anything starts. Unless it exits with 0, nothing is
    #: started and its output is shown.
    check: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)?$")


class Description(Section):
    """One local cloud."""

    registry: Name
    environments: dict[Name, Environment] = Field(min_length=1)
    #: Environments whose identities may write to the registry; the others may read it. Default: the first one.
    registry_writers: tuple[str, ...] = ()
    people: dict[Name, Person] = Field(default_factory=dict)
    queues: tuple[Queue, ...] = ()
    #: Shared access policies in addition to RootManageSharedAccessKey, which allows everything. Each gets a generated
    #: key.
    shared_access: dict[Name, SharedAccess] = Field(default_factory=dict)
    #: The app's own topics, in addition to those of the workspaces.
    topics: tuple[Topic, ...] = ()
    #: How long a deployment takes, in addition to the start of its server.
    deployment_seconds: NonNegativeFloat = 5
    #: Seconds between attempts to deliver an event; shorter than Azure's, since here the app restarts quickly.
    retry_pauses: tuple[PositiveFloat, ...] = (1, 2, 5, 10, 30, 60, 300)
    event_subscriptions: EventSubscriptions | None = None
    #: Without an app there is no Functions host and nothing is delivered.
    app: App | None = None
    #: Hints for the person who starts it, a sentence each.
    hints: tuple[str, ...] = ()
    #: Further keys of the Azure ML part's configuration, such as `faults` or `python`.
    azureml: dict[str, Any] = Field(default_factory=dict)

    @field_validator("queues", "topics", mode="before")
    @classmethod
    def _a_name_is_enough(cls, listed: Any) -> Any:
        return (
            [{"name": one} if isinstance(one, str) else one for one in listed] if isinstance(listed, list) else listed
        )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        faults = [
            f"registry_writers: there is no environment {name!r}"
            for name in self.registry_writers
            if name not in self.environments
        ]
        faults += [
            f"people.{name}: an environment already has this name" for name in self.people if name in self.environments
        ]
        workspaces = [environment.workspace.lower() for environment in self.environments.values()]
        if len(set(workspaces)) < len(workspaces):
            faults.append("environments: names of workspaces must be unique")
        topics = [topic.name.lower() for topic in self.topics]
        if len({*topics, *workspaces}) < len(topics) + len(set(workspaces)):
            faults.append("topics: names must be unique, and different from those of workspaces")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def read_description(file: Path) -> Description:
    """The description in a YAML file, its paths made absolute; raises `ConfigurationError`."""
    description = read_configuration(file, Description)
    folder = file.parent.resolve()
    if description.app is not None:
        app = description.app.model_copy(update={"folder": (folder / description.app.folder).resolve()})
        description = description.model_copy(update={"app": app})
    if "python" in description.azureml:
        # Not resolved: the interpreter of a virtual environment is a link that must be called as such.
        azureml = description.azureml | {"python": str(folder / description.azureml["python"])}
        description = description.model_copy(update={"azureml": azureml})
    return description
