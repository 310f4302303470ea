"""The settings of the Function App: the name of each, its meaning, and who sets it on Azure.

`docs/settings.md` is generated from here. Nothing else reads settings, except for the `${NAME}`s of `promotion.yml`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from shared.config.written import Readable, SettingText


class OnAzure(StrEnum):
    """Who sets a setting on Azure."""

    INFRA = "set by `infra/`"
    PLATFORM = "set by the platform"
    LEFT_OUT = "leave it out"
    OPTIONAL = "may be set"


@dataclass(frozen=True)
class Documented:
    """The documentation of a setting."""

    name: str
    on_azure: OnAzure
    default: str  #: the default
    meaning: str


def _setting(name: str, on_azure: OnAzure, default: str, meaning: str) -> str:
    documented: str = field(default="", metadata={"documented": Documented(name, on_azure, default, meaning)})
    return documented


#: The app's folder.
_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class AppSettings:
    """All settings that the app's code reads; empty for each that is not set."""

    configuration: str = _setting(
        "MLPROMOTE_CONFIGURATION",
        OnAzure.OPTIONAL,
        "`promotion.yml`",
        "Path of `promotion.yml` or `platform.yml` in the app's folder.",
    )
    platform: str = _setting(
        "MLPROMOTE_PLATFORM", OnAzure.INFRA, "–", "Text of `platform.yml`, used instead of a file in the app's folder."
    )
    bundles: str = _setting(
        "MLPROMOTE_BUNDLES",
        OnAzure.INFRA,
        "–",
        "Address of the container with the published bundles. On one machine: path of a SQLite file, by default that "
        "of the store.",
    )
    environments: str = _setting(
        "ENVIRONMENTS",
        OnAzure.INFRA,
        "all",
        "Comma-separated names of the environments whose workers this app runs. The app then has no other functions, "
        "unless `MLPROMOTE_ROLES` adds them. An unknown name makes indexing fail.",
    )
    roles: str = _setting(
        "MLPROMOTE_ROLES",
        OnAzure.INFRA,
        "both; with `ENVIRONMENTS`: `workers`",
        "`coordinator` (intake, advance, timers, HTTP API), `workers`, or both, separated by a comma.",
    )
    sign_in: str = _setting(
        "MLPROMOTE_SIGN_IN",
        OnAzure.LEFT_OUT,
        "`required`",
        "`optional`, for one machine: a function key alone may read, start promotions and run the health checks.",
    )
    sign_in_tenant: str = _setting(
        "MLPROMOTE_SIGN_IN_TENANT", OnAzure.INFRA, "–", "Id of the Entra ID tenant whose tokens the HTTP API accepts."
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
        "The issuer of these tokens, without the tenant.",
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
        "ServiceBus", OnAzure.LEFT_OUT, "–", "A connection string instead of an identity, for a local broker."
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
        "Name of the app's storage account, instead of its addresses.",
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
        "A connection string instead, for Azurite; `func start` requires one.",
    )
    table: str = _setting(
        "MLPROMOTE_TABLE",
        OnAzure.OPTIONAL,
        "`mlpromote`",
        "Name of the table for promotions. A second table, whose name ends in `approvals`, holds the approvals that "
        "environments take themselves.",
    )
    app_url: str = _setting(
        "MLPROMOTE_APP_URL",
        OnAzure.OPTIONAL,
        "by `WEBSITE_HOSTNAME`",
        "Public address of this app, shown to people who have to approve here.",
    )
    website_hostname: str = _setting("WEBSITE_HOSTNAME", OnAzure.PLATFORM, "–", "The app's host name.")
    store: str = _setting(
        "MLPROMOTE_STORE", OnAzure.LEFT_OUT, "–", "Path of a SQLite file for promotions, instead of the table."
    )
    topic_endpoint: str = _setting(
        "MLPROMOTE_TOPIC_ENDPOINT",
        OnAzure.INFRA,
        "nothing is published",
        "Endpoint of the Event Grid topic to which changes of promotions are published.",
    )
    topic_identity: str = _setting(
        "MLPROMOTE_TOPIC_IDENTITY",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that publishes there.",
    )
    topic_key: str = _setting(
        "MLPROMOTE_TOPIC_KEY", OnAzure.LEFT_OUT, "–", "The topic's key instead of an identity, for a local topic."
    )
    application_insights: str = _setting(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        OnAzure.INFRA,
        "no telemetry is sent",
        "The Application Insights resource for logs, traces and metrics. It is not a secret: only identities may send.",
    )
    traces_sampler: str = _setting(
        "OTEL_TRACES_SAMPLER",
        OnAzure.OPTIONAL,
        "whole traces of all promotions",
        "The OpenTelemetry sampler, which decides how many traces are sent.",
    )
    traces: str = _setting("MLPROMOTE_TRACES", OnAzure.LEFT_OUT, "–", "A local folder in which to keep traces.")
    azureml_cloud: str = _setting(
        "AZUREML_CLOUD", OnAzure.LEFT_OUT, "Azure", "JSON of another cloud's endpoints, as for `MLClient`."
    )
    identity_endpoint: str = _setting(
        "IDENTITY_ENDPOINT", OnAzure.PLATFORM, "–", "Where managed identities get their tokens."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "AppSettings":
        """Read the settings from environment variables, where the platform puts them."""
        return cls(**{each.name: environment.get(each.metadata["documented"].name, "") for each in fields(cls)})

    @cached_property
    def configuration_path(self) -> Path:
        """The path of `promotion.yml`, relative to the app's folder."""
        return _FOLDER / (self.configuration or "promotion.yml")

    @property
    def configuration_file(self) -> Readable:
        """Where the configuration is written: the platform's text, or a file."""
        return SettingText("MLPROMOTE_PLATFORM", self.platform) if self.platform else self.configuration_path

    @property
    def address(self) -> str:
        """The public address of this app; empty if unknown."""
        if self.app_url:
            return self.app_url.rstrip("/")
        return f"https://{self.website_hostname}" if self.website_hostname else ""

    @property
    def is_observed(self) -> bool:
        """Whether traces are kept or sent anywhere."""
        return bool(self.application_insights or self.traces)


def documented() -> Iterator[Documented]:
    """Return the settings of `AppSettings`, in order."""
    return (each.metadata["documented"] for each in fields(AppSettings))


#: Read by the Functions host and its libraries.
OF_THE_HOST = (
    Documented("AzureWebJobsStorage__blobServiceUri", OnAzure.INFRA, "–", "The host's leases and keys."),
    Documented(
        "AzureWebJobsStorage__queueServiceUri", OnAzure.INFRA, "–", "Required with the other two, but not used."
    ),
    Documented("AzureWebJobsStorage__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Documented("ServiceBus__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Documented(
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        OnAzure.INFRA,
        "–",
        "The identity that sends: `ClientId=…;Authorization=AAD`.",
    ),
    Documented("FUNCTIONS_WORKER_RUNTIME", OnAzure.LEFT_OUT, "–", "`python`. `func start` requires it."),
    Documented(
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        OnAzure.LEFT_OUT,
        "1",
        "Worker processes per instance, 1 to 10. Flex Consumption, which `infra/` uses, does not support it.",
    ),
    Documented(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        OnAzure.INFRA,
        "the number of cores plus 4",
        "Functions that one process runs at once. Set it to the number of concurrent messages in `host.json`.",
    ),
)
