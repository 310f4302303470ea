"""The form of `localcloud.yml`, from which every part's own configuration is derived."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from localcloud.configuration_file import Section, read_configuration
from localcloud.eventgrid.events import Schema

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,40}$")]

#: Queues are of the Standard tier with duplicate detection. Names are those of Microsoft's emulator, and so are the
#: bounds: it allows no longer window and no more deliveries.
QUEUE_PROPERTIES: dict[str, Any] = {
    "LockDuration": "PT1M",
    "MaxDeliveryCount": 10,
    "RequiresDuplicateDetection": True,
    "DuplicateDetectionHistoryTimeWindow": "PT5M",
}


class Environment(Section):
    """A workspace in a subscription of its own, with an identity of its own that is named like the environment."""

    subscription: str = Field(min_length=1)
    resource_group: str = Field(min_length=1)
    workspace: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{2,32}$")
    location: str = "westeurope"
    #: The names of the workspace's clusters. None: every name is one.
    computes: tuple[str, ...] | None = None
    #: Its identity is a Reader of the subscription too, and so can read why a deployment failed.
    reads_subscription: bool = False

    @property
    def workspace_id(self) -> str:
        """The workspace's ARM id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace}"
        )


class Person(Section):
    """Somebody with an identity that may do everything by hand, and with which to sign in to the app."""

    #: App roles, as Entra ID would assign them.
    roles: tuple[str, ...] = ()


class Queue(Section):
    """A Service Bus queue; `properties` override `QUEUE_PROPERTIES`."""

    name: str = Field(min_length=1)
    properties: dict[str, Any] = Field(default_factory=dict)


class SharedAccess(Section):
    """What the key of a shared access policy is good for, by the names of queues; `*` is all of them."""

    listen: tuple[str, ...] = ()
    send: tuple[str, ...] = ()


class Topic(Section):
    """An Event Grid topic of the app's own, for CloudEvents that it publishes with the topic's key."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{2,49}$")
    #: What subscribes to it: addresses that take CloudEvents. Nothing waits for them at the start.
    webhooks: tuple[str, ...] = ()


class EventSubscriptions(Section):
    """What every workspace's topic delivers to the app."""

    #: The app's function with an Event Grid trigger; or, with `path`, one with an HTTP trigger that takes events.
    function: str = Field(min_length=1)
    #: Where the latter is, such as `api/events`.
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
    #: Module that is run in the app's folder, with its settings, before anything starts. Where it does not end with 0,
    #: nothing is started, and what it printed is told.
    check: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)?$")


class Description(Section):
    """One local cloud."""

    registry: Name
    environments: dict[Name, Environment] = Field(min_length=1)
    #: Environments whose identities may write to the registry; those of the others read it. Default: the first one.
    registry_writers: tuple[str, ...] = ()
    people: dict[Name, Person] = Field(default_factory=dict)
    queues: tuple[Queue, ...] = ()
    #: Shared access policies beside RootManageSharedAccessKey, which is good for everything; a key is made for each.
    shared_access: dict[Name, SharedAccess] = Field(default_factory=dict)
    #: Topics of the app's own, beside those of the workspaces.
    topics: tuple[Topic, ...] = ()
    #: How long a deployment takes, on top of what its server needs to start.
    deployment_seconds: NonNegativeFloat = 5
    #: Seconds between attempts to deliver an event; shorter than Azure's, since here the app restarts quickly.
    retry_pauses: tuple[PositiveFloat, ...] = (1, 2, 5, 10, 30, 60, 300)
    event_subscriptions: EventSubscriptions | None = None
    #: Without an app there is no Functions host and nothing is delivered.
    app: App | None = None
    #: Hints for the person who starts it, a sentence each.
    hints: tuple[str, ...] = ()
    #: Further keys of the Azure ML part's configuration, as `faults` or `python`.
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
