"""The text shown when the local cloud is ready: every address, key and token, laid out for a terminal's width."""

import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from localcloud.up.layout import Layout
from localcloud.up.running import data_option

#: Columns; longer lines of prose are hard to read.
_WIDEST_PROSE = 120
_OPTION = re.compile(r"\{(--[a-z-]+)\}")


def welcome(layout: Layout, width: int) -> str:
    """Every address, key and token. Prose is wrapped to `width` columns; text for copying is never wrapped."""
    person = next(iter(layout.description.people), next(iter(layout.client_ids)))
    exports = (f"  export {name}={shlex.quote(value)}" for name, value in layout.by_hand(person).items())
    paragraphs = [
        _prose(f"The local cloud is ready. Ctrl-C ends it; its state stays in {layout.data}.", width),
        *_table(list(_rows(layout)), width),
        *_how_to_subscribe(layout, width),
        *_how_to_sign_in(layout, width),
        _prose(f"To use MLClient(DefaultAzureCredential(), ...) by hand as {person}:", width),
        "\n".join(exports),
        "\n".join(
            _prose(sentence, width)
            for sentence in (
                f"All of this, machine-readable: {layout.data / 'addresses.json'}",
                *(_with_folder(hint, layout.data) for hint in layout.description.hints),
            )
        ),
    ]
    return "\n" + "\n\n".join(paragraphs) + "\n"


def _with_folder(hint: str, data: Path) -> str:
    """Fill in `{--OPTION}`, with which a command of the hint names the folder; nothing where that is the usual one."""
    return _OPTION.sub(lambda found: data_option(data, found[1]), hint)


def _prose(text: str, width: int) -> str:
    return textwrap.fill(text, min(width, _WIDEST_PROSE), break_long_words=False, break_on_hyphens=False)


def _table(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """A paragraph for each service. A value that does not fit beside its name has a line of its own."""
    column = max(len(name) for name, _ in rows) + 4
    lines: list[str] = []
    for name, value in rows:
        if lines and not name.startswith(" "):
            yield "\n".join(lines)
            lines = []
        if column + len(value) <= width:
            lines.append(f"  {name:<{column - 2}}{value}")
        else:
            indent = " " * (len(name) - len(name.lstrip()) + 4)
            lines += [f"  {name}", f"{indent}{value}"]
    yield "\n".join(lines)


def _how_to_subscribe(layout: Layout, width: int) -> Iterator[str]:
    for topic in layout.description.topics:
        if not topic.webhooks:
            yield _prose(
                f"Nothing subscribes to the topic {topic.name} yet. For its events, add a server to localcloud.yml "
                "that receives CloudEvents and answers OPTIONS with the header WebHook-Allowed-Origin: *",
                width,
            )
            yield f"  topics: [{{name: {topic.name}, webhooks: [http://127.0.0.1:PORT/]}}]"


def _how_to_sign_in(layout: Layout, width: int) -> Iterator[str]:
    if layout.description.app is not None and layout.people:
        person = next(iter(layout.people))
        yield _prose(f"To call the app as {person}, with a token that is valid for a day:", width)
        token = f"$({_python()} -m localcloud token {person}{data_option(layout.data)})"
        yield f'  curl -H "Authorization: Bearer {token}" {layout.functions_url}/api/...'


def _python() -> str:
    """The interpreter that runs this, as one types it here: relative if it is below the working directory."""
    here, python = Path.cwd(), Path(sys.executable)
    return shlex.quote(str(python.relative_to(here) if python.is_relative_to(here) else python))


def _rows(layout: Layout) -> Iterator[tuple[str, str]]:
    """Name and value; names that are indented belong to the service above them."""
    if layout.description.app is not None:
        yield "Functions app", layout.functions_url
        yield "  master key", layout.secrets.master_key
        yield "  function key", layout.secrets.default_key
        yield "  Event Grid key", layout.secrets.event_grid_key
        for name, person in layout.people.items():
            yield f"  roles of {name}", ", ".join(person["roles"]) or "none"
    yield "Service Bus", layout.connection_string
    yield "Azure ML", layout.azureml_url
    yield "  certificates", str(layout.ca_file)
    yield "  registry", layout.description.registry
    for name, workspace in layout.workspace_ids.items():
        yield f"  workspace of {name}", workspace
    yield "Event Grid", layout.eventgrid_url
    for name, topic in layout.topics.items():
        yield f"  topic of {name}", topic
        yield "    key", layout.secrets.topic_keys[name]
    for own in layout.description.topics:
        yield f"  topic {own.name}", layout.own_topics[own.name]
        yield "    key", layout.secrets.own_topic_keys[own.name]
        for webhook in own.webhooks:
            yield "    subscriber", webhook
    yield "Managed identity", layout.identity_endpoint
    yield "  header", layout.secrets.identity_header
    for name, client_id in layout.client_ids.items():
        yield f"  client id of {name}", client_id
    yield "Logs", str(layout.data / "logs")
