"""Writes `docs/settings.md`, the table of the app's settings: `python docs/make_settings_table.py [--check]`.

The meanings are here; which settings there are is read from the code, so that neither can forget the other.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.generated_page import write_or_check

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_name("settings.md")
#: Where settings are read. What is below `core`, `config` and `steps` are settings of stages, not of the app.
READERS = (
    *("functions/*.py", "shared/*.py", "shared/cloud/*.py"),
    *("shared/config/sign_in.py", "shared/config/roles.py"),
)
_MAPPINGS = ("settings", "_settings", "environ")


class OnAzure(StrEnum):
    """How a setting comes about there."""

    INFRA = "set by `infra/`"
    PLATFORM = "set by the platform"
    LEFT_OUT = "leave it out"
    OPTIONAL = "may be set"


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    on_azure: OnAzure
    default: str
    meaning: str


APP = (
    Setting(
        "MLPROMOTE_CONFIGURATION", OnAzure.INFRA, "`promotion.yml`", "Path of `promotion.yml` in the app's folder."
    ),
    Setting(
        "ENVIRONMENTS",
        OnAzure.INFRA,
        "all",
        "Names of the environments whose workers this app runs, with commas between them. With it the app has no other"
        " function, unless `MLPROMOTE_ROLES` says so. An unknown name ends indexing with an error.",
    ),
    Setting(
        "MLPROMOTE_ROLES",
        OnAzure.INFRA,
        "both; with `ENVIRONMENTS`: `workers`",
        "`coordinator` (intake, advance, timers, HTTP API), `workers`, or both with a comma.",
    ),
    Setting(
        "MLPROMOTE_SIGN_IN",
        OnAzure.LEFT_OUT,
        "`required`",
        "`optional`, for one machine: a function key alone may read, start promotions and have the app look at itself.",
    ),
    Setting(
        "MLPROMOTE_SIGN_IN_TENANT", OnAzure.INFRA, "–", "Id of the Entra ID tenant whose tokens the HTTP API takes."
    ),
    Setting(
        "MLPROMOTE_SIGN_IN_CLIENT_ID",
        OnAzure.INFRA,
        "–",
        "Client id of the app registration: the audience of these tokens.",
    ),
    Setting(
        "MLPROMOTE_SIGN_IN_AUTHORITY",
        OnAzure.INFRA,
        "`https://login.microsoftonline.com`",
        "Who issues these tokens, without the tenant.",
    ),
    Setting(
        "ServiceBus__fullyQualifiedNamespace",
        OnAzure.INFRA,
        "–",
        "The Service Bus namespace, as `name.servicebus.windows.net`.",
    ),
    Setting(
        "ServiceBus__clientId",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that receives and sends messages.",
    ),
    Setting("ServiceBus", OnAzure.LEFT_OUT, "–", "A connection string in place of an identity, for a local broker."),
    Setting(
        "AzureWebJobsStorage__tableServiceUri",
        OnAzure.INFRA,
        "–",
        "Address of the tables of the app's storage account, where promotions are kept.",
    ),
    Setting(
        "AzureWebJobsStorage__accountName",
        OnAzure.OPTIONAL,
        "–",
        "Name of the app's storage account, in place of its addresses.",
    ),
    Setting(
        "AzureWebJobsStorage__clientId",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that reads and writes there.",
    ),
    Setting(
        "AzureWebJobsStorage",
        OnAzure.LEFT_OUT,
        "–",
        "A connection string in its place, for Azurite; `func start` asks for one.",
    ),
    Setting(
        "MLPROMOTE_TABLE",
        OnAzure.OPTIONAL,
        "`mlpromote`",
        "Name of the table for promotions. Approvals that environments take themselves are in one beside it, whose name"
        " ends in `approvals`.",
    ),
    Setting(
        "MLPROMOTE_APP_URL",
        OnAzure.OPTIONAL,
        "by `WEBSITE_HOSTNAME`",
        "Where people reach this app, told to those who are to approve here.",
    ),
    Setting("WEBSITE_HOSTNAME", OnAzure.PLATFORM, "–", "The app's host name."),
    Setting("MLPROMOTE_STORE", OnAzure.LEFT_OUT, "–", "Path of a SQLite file for promotions, in place of the table."),
    Setting(
        "MLPROMOTE_TOPIC_ENDPOINT",
        OnAzure.INFRA,
        "nothing is published",
        "Publish address of the Event Grid topic for changes of promotions.",
    ),
    Setting(
        "MLPROMOTE_TOPIC_IDENTITY",
        OnAzure.INFRA,
        "the system-assigned identity",
        "Client id of the identity that publishes there.",
    ),
    Setting(
        "MLPROMOTE_TOPIC_KEY", OnAzure.LEFT_OUT, "–", "The topic's key in place of an identity, for a local topic."
    ),
    Setting(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        OnAzure.INFRA,
        "no telemetry is sent",
        "Which Application Insights gets logs, traces and metrics. It opens nothing: only identities may send.",
    ),
    Setting(
        "OTEL_TRACES_SAMPLER",
        OnAzure.OPTIONAL,
        "whole traces of all promotions",
        "How many traces are sent, as OpenTelemetry has it.",
    ),
    Setting("MLPROMOTE_TRACES", OnAzure.LEFT_OUT, "–", "A folder in which traces are kept on one machine."),
    Setting("AZUREML_CLOUD", OnAzure.LEFT_OUT, "Azure", "JSON of another cloud's endpoints, as `MLClient` takes them."),
    Setting("IDENTITY_ENDPOINT", OnAzure.PLATFORM, "–", "Where managed identities get their tokens."),
)

#: Read by the Functions host and its libraries.
HOST = (
    Setting("AzureWebJobsStorage__blobServiceUri", OnAzure.INFRA, "–", "The host's leases and keys."),
    Setting("AzureWebJobsStorage__queueServiceUri", OnAzure.INFRA, "–", "Belongs to the other two; no queue is used."),
    Setting("AzureWebJobsStorage__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Setting("ServiceBus__credential", OnAzure.INFRA, "–", "`managedidentity`"),
    Setting(
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        OnAzure.INFRA,
        "–",
        "The identity that sends: `ClientId=…;Authorization=AAD`.",
    ),
    Setting("FUNCTIONS_WORKER_RUNTIME", OnAzure.LEFT_OUT, "–", "`python`. `func start` asks for it."),
    Setting(
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        OnAzure.LEFT_OUT,
        "1",
        "Processes of one instance, 1 to 10. Flex Consumption, which `infra/` takes, does not have it.",
    ),
    Setting(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        OnAzure.INFRA,
        "4 and one for each core",
        "How many functions one process runs at once: as many as `host.json` takes messages at once.",
    ),
)


def settings_read() -> set[str]:
    """The names of all settings that the app's code reads. Fails for one whose name cannot be told from the code."""
    return {name for pattern in READERS for file in sorted(REPOSITORY.glob(pattern)) for name in _read_in(file)}


def _read_in(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    texts = _constants(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("shared"):
                source = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
                if source.exists():
                    texts |= _constants(ast.parse(source.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=mapping, attr="get"), args=[key, *_]) if _is_settings(mapping):
                yield _text(key, texts, file)
            case ast.Subscript(value=mapping, slice=key) if _is_settings(mapping):
                yield _text(key, texts, file)


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_settings(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in _MAPPINGS


def _text(node: ast.expr, texts: dict[str, str], file: Path) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in texts:
            return texts[name]
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, texts, file) for part in parts)
        case ast.FormattedValue(value=inner):
            return _text(inner, texts, file)
    raise SystemExit(f"{file.relative_to(REPOSITORY)}:{node.lineno}: which setting is this? Name it by a constant.")


def document() -> str:
    """The whole page. Fails where the table and the code do not name the same settings."""
    read, told = settings_read(), {setting.name for setting in APP}
    if read != told:
        raise SystemExit(
            f"docs/make_settings_table.py: add {', '.join(sorted(read - told)) or 'nothing'};"
            f" take away {', '.join(sorted(told - read)) or 'nothing'}"
        )
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- Written by docs/make_settings_table.py. -->",
            "",
            "Application settings of the Function App; on one machine, environment variables. None of them is a secret",
            "on Azure. Whatever `promotion.yml` has as `${NAME}` is a setting, too: in the example,",
            "`<ENVIRONMENT>_WORKSPACE` (ARM id) and `<ENVIRONMENT>_IDENTITY` (client id), which `infra/` sets.",
            "",
            "## Of the app",
            "",
            *_table(APP),
            "",
            "## Of the Functions host",
            "",
            *_table(HOST),
            "",
        ]
    )


def _table(settings: tuple[Setting, ...]) -> Iterator[str]:
    yield from ("| setting | on Azure | without it | meaning |", "|---|---|---|---|")
    for each in settings:
        yield f"| `{each.name}` | {each.on_azure} | {each.default} | {each.meaning} |"


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, document, "Write docs/settings.md from the code that reads settings."))
