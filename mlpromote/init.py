"""The command init: a repository for a model, with everything that a first promotion needs."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.session import Session

TEMPLATES = Path(__file__).parent / "templates"
_MODEL, _VERSION = "@model@", "@version@"
#: Fits as the name of a model, a route and an endpoint, with `-test` behind it.
_NAME = re.compile(r"[a-z][a-z0-9-]{1,25}[a-z0-9]")
#: What a new repository often has already. Then it stays as it is.
_KEPT = ("README.md", ".gitignore")
#: Where the packaged schemas are: beside the templates, or in the repository's documentation.
_SCHEMAS = (Path(__file__).parent / "schemas", Path(__file__).parents[1] / "docs")
_SCHEMA = "team.schema.json"


@command(
    "init",
    "make a repository for a model, ready for `check` and `publish`",
    more="Writes promotion.yml, deployments, an endpoint, a scoring script, smoke requests, a training job, CI for "
    "GitHub and Azure DevOps, a pre-commit hook, and settings for VS Code. Overwrites nothing; "
    "a README.md and a .gitignore stay as they are.",
)
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=".", help="Where; the default is this folder.")
@click.pass_obj
def init(session: Session, name: str, folder: Path) -> ExitCode:
    """Write the files."""
    if not _NAME.fullmatch(name):
        raise CommandError(
            ExitCode.USAGE,
            f"{name!r} cannot name a model and its endpoint: use 3 to 27 lower-case letters, digits and hyphens, such "
            "as churn.",
        )
    files = {path: text for path, text in _files(name) if path not in _KEPT or not (folder / path).exists()}
    there = sorted(path for path in files if (folder / path).exists())
    if there:
        raise CommandError(
            ExitCode.REFUSED,
            f"Nothing was written: {folder} already has {', '.join(there)}. Name an empty folder with --folder.",
        )
    _write(folder, files)
    session.output.result(sorted(files), lambda: _told(files, folder))
    return ExitCode.DONE


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files. Raises `CommandError` where that is not possible."""
    for path, content in files.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8", newline="\n")
        except OSError as fault:
            raise CommandError(ExitCode.REFUSED, f"Cannot write {folder / path}: {fault.strerror}") from fault


def _files(name: str) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the new repository, and its content."""
    for template in sorted(TEMPLATES.rglob("*")):
        if template.is_file() and "__pycache__" not in template.parts:
            path = template.relative_to(TEMPLATES).as_posix().replace(_MODEL, name)
            text = template.read_text(encoding="utf-8")
            yield path, text.replace(_MODEL, name).replace(_VERSION, _own_version())
    yield ".vscode/promotion.schema.json", _schema()


def _schema() -> str:
    """Return the schema of a team's configuration: the platform's file has the registry and the environments."""
    file = next(folder / _SCHEMA for folder in _SCHEMAS if (folder / _SCHEMA).is_file())
    return file.read_text(encoding="utf-8")


def _own_version() -> str:
    try:
        return version("mlpromote")
    except PackageNotFoundError as fault:
        raise CommandError(ExitCode.USAGE, "mlpromote is not installed: pip install mlpromote") from fault


def _told(files: Mapping[str, str], folder: Path) -> Iterator[str]:
    yield from sorted(files)
    where = "" if folder == Path() else f" {folder}"
    yield f"{len(files)} files written. Next: mlpromote check{where}"


COMMANDS = (init,)
