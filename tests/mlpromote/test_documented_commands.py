"""Every command in the documentation is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlpromote.command_line import ROOT

REPOSITORY = Path(__file__).parents[2]
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "mlpromote" / "templates" / "README.md",
    *sorted(REPOSITORY.glob("docs/*.md")),
    *sorted(REPOSITORY.glob("infra/*.md")),
    *sorted(REPOSITORY.glob("examples/*/README.md")),
)
_BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`mlpromote ([^`]+)`")
_COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?mlpromote (.+)$")


def lines_of(text: str) -> Iterator[str]:
    """The commands of a page's blocks, to be typed as they are."""
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            if found := _COMMAND.match(line.strip()):
                yield found[1]


DOCUMENTED = [
    pytest.param(line, id=f"{page.relative_to(REPOSITORY)}: {line[:50]}")
    for page in PAGES
    for line in dict.fromkeys(lines_of(page.read_text(encoding="utf-8")))
]
MENTIONED = sorted({found for page in PAGES for found in _INLINE.findall(page.read_text(encoding="utf-8"))})


def read(words: list[str]) -> None:
    """Read a command line without running it. Raises `click.UsageError`."""
    context = ROOT.make_context("mlpromote", words)
    command: click.Command = ROOT
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest and command.invoke_without_command:
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)


def command_of(words: list[str]) -> click.Command:
    """The command that the words begin with; `mlpromote` itself for an option."""
    command: click.Command = ROOT
    for word in words:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    assert command is not ROOT or words[0].startswith("--"), words
    return command


@pytest.mark.parametrize("line", DOCUMENTED)
def test_a_documented_command_can_be_typed_as_it_stands(line: str) -> None:
    read(shlex.split(line, comments=True))


@pytest.mark.parametrize("words", MENTIONED)
def test_a_command_that_a_text_mentions_has_its_name_and_its_options(words: str) -> None:
    command = command_of(words.split())
    known = {option for parameter in command.get_params(click.Context(command)) for option in parameter.opts}
    assert {word.partition("=")[0] for word in words.split() if word.startswith("--")} <= known


def test_what_is_not_taken_would_be_found() -> None:
    assert len(DOCUMENTED) > 40
    for line in ("shw digits/3", "wait digits/3 --fro approval", "hold churn", "context use"):
        with pytest.raises(click.UsageError):
            read(shlex.split(line))
    with pytest.raises(AssertionError):
        command_of(["shw"])
