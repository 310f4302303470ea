"""The command check: everything that can be known of a configuration without the cloud."""

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from mlpromote import app_rules
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Format
from mlpromote.session import Session
from mlpromote.visible import visible

#: The files that a folder may have; with one of them there is something to check.
CONFIGURATIONS = ("promotion.yml", "platform.yml")
FORMATS = ("text", "json", "github", "sarif")
#: What `mlpromote[check]` installs, by the modules that are imported.
_NEEDED = ("pydantic", "azure.ai.ml")


@command(
    "check",
    "check a configuration and every file that it names, without the cloud",
    more="Reports all faults at once, with file, line and column. Ends with 0 if there is none, with 1 if there are "
    "some, with 2 if it could not check, and with 70 after an internal error. FOLDER is the one with promotion.yml, "
    "or that file; by default the current folder.",
)
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="How to print. github makes annotations; the default is text.",
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings of the app for ${NAME}: lines of NAME=value, or a local.settings.json. Variables come first.",
)
@click.pass_obj
def check(session: Session, folder: Path, style: str | None, settings: Path | None) -> ExitCode:
    """Print every finding."""
    files = _files(folder)
    known = {**(_settings(settings) if settings else {}), **os.environ}
    _require_what_it_needs()
    app_rules.make_importable()
    from mlpromote.checking import checker, formats  # here, because it takes a second

    checked = checker.check(files, known)
    usual = "json" if session.output.format is Format.JSON else "text"
    for line in formats.FORMATS[style or usual](checked):
        click.echo(visible(line))
    return ExitCode.REFUSED if checked.faults else ExitCode.DONE


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = [folder / name for name in CONFIGURATIONS if (folder / name).is_file()]
    if found:
        return found
    where = "here" if folder == Path() else f"in {folder}"
    raise CommandError(
        ExitCode.USAGE, f"There is no promotion.yml {where}. Name its folder, or make one with `mlpromote init NAME`."
    )


def _settings(file: Path) -> Mapping[str, str]:
    """Return the settings in a file. Raises `CommandError`."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            return {name: str(value) for name, value in json.loads(text)["Values"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise CommandError(ExitCode.USAGE, f"Cannot read the settings in {file}: {fault}") from fault
    lines = (line.strip().removeprefix("export ") for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, separator, value in pairs if separator}


def _require_what_it_needs() -> None:
    for module in _NEEDED:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # not even its parent
            found = None
        if found is None:
            raise CommandError(
                ExitCode.USAGE,
                f"check reads Azure ML's files with Azure ML's own loaders, but {module} is not installed: "
                "pip install 'mlpromote[check]'",
            )


COMMANDS = (check,)
