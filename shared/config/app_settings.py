"""The settings of the Function App: each with its name, its meaning, and how it comes about on Azure.

`docs/settings.md` is written from here. Nothing else reads settings, but for the `${NAME}`s of `promotion.yml`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path


class OnAzure(StrEnum):
    """How a setting comes about there."""

    INFRA = "set by `infra/`"
    PLATFORM = "set by the platform"
    LEFT_OUT = "leave it out"
    OPTIONAL = "may be set"


@dataclass(frozen=True)
class Documented:
    """A setting in words."""

    name: str
    on_azure: OnAzure
    default: str  #: what holds without it
    meaning: str


def _setting(name: str, on_azure: OnAzure, default: str, meaning: str) -> str:
    documented: str = field(default="", metadata={"documented": Documented(name, on_azure, default, meaning)})
    return documented


@dataclass(frozen=True)
class AppSettings:
    """All that the app's code reads; empty where it is not set."""

    configuration: str = _setting(
        "MLPROMOTE_CONFIGURATION", OnAzure.INFRA, "`promotion.yml`", "Path of `promotion.yml` in the app's folder."
    )
    environments: str = _setting(
        "ENVIRONMENTS",
        OnAzure.INFRA,
        "all",
        "Names of the environments whose workers this app runs, with commas between them. With it the app has no other "
        "function, unless `MLPROMOTE_ROLES` says so. An unknown name ends indexing with an error.",
    )
    roles: str = _setting(
        "MLPROMOTE_ROLES",
        OnAzure.INFRA,
        "both; with `ENVIRONMENTS`: `workers`",
        "`coordinator` (intake, advance, timers, HTTP API), `workers`, or both with a comma.",
    )
    sign_in: str = _setting(
        "MLPROMOTE_SIGN_IN",
        OnAzure.LEFT_OUT,
        "`required`",
        "`optional`, for one machine: a function key alone may read, start promotions and have the app look at itself.",
    )
    sign_in_tenant: str = _setting(
        "MLPROMOTE_SIGN_IN_TENANT", OnAzure.INFRA, "–", "Id of the Entra ID tenant whose tokens the HTTP API takes."
    )
    sign_in_client_id: str = _setting(
        "MLPROMOTE_SIGN_IN_CLIENT_ID",
        OnAzure.INFRA,
        "–",
        "Client id of the app registration: the audience of these tokens.",
    )
    sign_in_authority: str = _setting(
        "MLPROMOTE_SIGN_IN_AUTHORITY",
        OnAzure.INFRA,
        "`https://login.microsoftonline.com`",
        "Who issues these tokens, without the tenant.",
    )
    service_bus_namespace: str = _setting(
        "ServiceBus__fullyQualifiedNamespace",
        OnAzure.INFRA,
        "–",
        "The Service Bus namespace, as `name.servicebus.windows.net`.",
    )
    service_bus_client_id: str = _setting(
        "ServiceBus__clientId",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that receives and sends messages.",
    )
    service_bus: str = _setting(
        "ServiceBus", OnAzure.LEFT_OUT, "–", "A connection string in place of an identity, for a local broker."
    )
    storage_table_uri: str = _setting(
        "AzureWebJobsStorage__tableServiceUri",
        OnAzure.INFRA,
        "–",
        "Address of the tables of the app's storage account, where promotions are kept.",
    )
    storage_account: str = _setting(
        "AzureWebJobsStorage__accountName",
        OnAzure.OPTIONAL,
        "–",
        "Name of the app's storage account, in place of its addresses.",
    )
    storage_client_id: str = _setting(
        "AzureWebJobsStorage__clientId",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that reads and writes there.",
    )
    storage: str = _setting(
        "AzureWebJobsStorage",
        OnAzure.LEFT_OUT,
        "–",
        "A connection string in its place, for Azurite; `func start` asks for one.",
    )
    table: str = _setting(
        "MLPROMOTE_TABLE",
        OnAzure.OPTIONAL,
        "`mlpromote`",
        "Name of the table for promotions. Approvals that environments take themselves are in one beside it, whose "
        "name ends in `approvals`.",
    )
    app_url: str = _setting(
        "MLPROMOTE_APP_URL",
        OnAzure.OPTIONAL,
        "by `WEBSITE_HOSTNAME`",
        "Where people reach this app, told to those who are to approve here.",
    )
    website_hostname: str = _setting("WEBSITE_HOSTNAME", OnAzure.PLATFORM, "–", "The app's host name.")
    store: str = _setting(
        "MLPROMOTE_STORE", OnAzure.LEFT_OUT, "–", "Path of a SQLite file for promotions, in place of the table."
    )
    topic_endpoint: str = _setting(
        "MLPROMOTE_TOPIC_ENDPOINT",
        OnAzure.INFRA,
        "nothing is published",
        "Publish address of the Event Grid topic for changes of promotions.",
    )
    topic_identity: str = _setting(
        "MLPROMOTE_TOPIC_IDENTITY",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that publishes there.",
    )
    topic_key: str = _setting(
        "MLPROMOTE_TOPIC_KEY", OnAzure.LEFT_OUT, "–", "The topic's key in place of an identity, for a local topic."
    )
    application_insights: str = _setting(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        OnAzure.INFRA,
        "no telemetry is sent",
        "Which Application Insights gets logs, traces and metrics. It opens nothing: only identities may send.",
    )
    traces_sampler: str = _setting(
        "OTEL_TRACES_SAMPLER",
        OnAzure.OPTIONAL,
        "whole traces of all promotions",
        "How many traces are sent, as OpenTelemetry has it.",
    )
    traces: str = _setting(
        "MLPROMOTE_TRACES", OnAzure.LEFT_OUT, "–", "A folder in which traces are kept on one machine."
    )
    azureml_cloud: str = _setting(
        "AZUREML_CLOUD", OnAzure.LEFT_OUT, "Azure", "JSON of another cloud's endpoints, as `MLClient` takes them."
    )
    identity_endpoint: str = _setting(
        "IDENTITY_ENDPOINT", OnAzure.PLATFORM, "–", "Where managed identities get their tokens."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "AppSettings":
        """From environment variables, as which the platform gives settings to an app."""
        return cls(**{each.name: environment.get(each.metadata["documented"].name, "") for each in fields(cls)})

    @property
    def configuration_path(self) -> Path:
        """Where `promotion.yml` is: as set, relative to the app's folder."""
        return Path(__file__).resolve().parents[2] / (self.configuration or "promotion.yml")

    @property
    def address(self) -> str:
        """Where people reach this app; empty where nothing says so."""
        if self.app_url:
            return self.app_url.rstrip("/")
        return f"https://{self.website_hostname}" if self.website_hostname else ""

    @property
    def is_observed(self) -> bool:
        """Whether anything keeps traces."""
        return bool(self.application_insights or self.traces)


def documented() -> Iterator[Documented]:
    """The settings of `AppSettings`, in their order."""
    return (each.metadata["documented"] for each in fields(AppSettings))


#: Read by the Functions host and its libraries.
OF_THE_HOST = (
    Documented("AzureWebJobsStorage__blobServiceUri", OnAzure.INFRA, "–", "The host's leases and keys."),
    Documented(
        "AzureWebJobsStorage__queueServiceUri", OnAzure.INFRA, "–", "Belongs to the other two; no queue is used."
    ),
    Documented("AzureWebJobsStorage__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Documented("ServiceBus__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Documented(
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        OnAzure.INFRA,
        "–",
        "The identity that sends: `ClientId=…;Authorization=AAD`.",
    ),
    Documented("FUNCTIONS_WORKER_RUNTIME", OnAzure.LEFT_OUT, "–", "`python`. `func start` asks for it."),
    Documented(
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        OnAzure.LEFT_OUT,
        "1",
        "Processes of one instance, 1 to 10. Flex Consumption, which `infra/` takes, does not have it.",
    ),
    Documented(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        OnAzure.INFRA,
        "4 and one for each core",
        "How many functions one process runs at once: as many as `host.json` takes messages at once.",
    ),
)
