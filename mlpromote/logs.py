"""The command logs: what happened to a promotion, with the logs of containers and jobs where a step failed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.promotions import OF_ONE
from mlpromote.references import promotion_id
from mlpromote.session import Session
from mlpromote.tables import dim


@command(
    "logs",
    "print the journal of a promotion and the logs of its failed steps",
    more=f"{OF_ONE} The app keeps the end of a container's or job's log, and only of a step that failed.",
)
@click.argument("promotion")
@click.option("--step", metavar="[STAGE/]STEP", help="Only this step.")
@click.pass_obj
def logs(session: Session, promotion: str, step: str | None) -> ExitCode:
    """Print the lines in the order of time, and below them the logs."""
    api, output = session.api, session.output
    found = api.get("promotions", promotion_id(api, promotion, output))
    wanted = _wanted(step, found)
    journal = [entry for entry in found["journal"] if _fits(wanted, entry["stage"], entry["step"])]
    diagnoses = [each for each in _diagnoses(found) if _fits(wanted, each["stage"], each["step"])]
    document = {"id": found["id"], "journal": journal, "logs": diagnoses}
    output.result(document, lambda: _drawn(journal, diagnoses))
    return ExitCode.DONE


def _wanted(step: str | None, promotion: Document) -> tuple[str | None, str | None]:
    """Return the stage and the step that are asked for; None means any. Raises `CommandError` for unknown ones."""
    if step is None:
        return None, None
    stage, separator, name = step.rpartition("/")
    known = [f"{each['name']}/{one['name']}" for each in promotion["stages"] for one in _steps(each)]
    if not any(each == step or (not separator and each.endswith(f"/{name}")) for each in known):
        names = ", ".join(dict.fromkeys(known)) or "none yet"
        raise CommandError(ExitCode.NOT_FOUND, f"{promotion['id']} has no step {step}. Its steps: {names}.")
    return stage or None, name


def _fits(wanted: tuple[str | None, str | None], stage: str, step: str) -> bool:
    return wanted[0] in (None, stage) and wanted[1] in (None, step)


def _steps(stage: Document) -> list[Document]:
    return [*stage["steps"], *stage["undoing"]]


def _diagnoses(promotion: Document) -> Iterator[Mapping[str, Any]]:
    for stage in promotion["stages"]:
        for step in _steps(stage):
            failure = step["failure"]
            if failure and failure["diagnosis"]:
                yield {"stage": stage["name"], "step": step["name"], "log": failure["diagnosis"]}


def _drawn(journal: list[Document], diagnoses: list[Mapping[str, Any]]) -> Iterator[RenderableType]:
    for entry in journal:
        at = datetime.fromisoformat(entry["at"]).astimezone(UTC)
        place = "/".join(part for part in (entry["stage"], entry["step"]) if part)
        words = " ".join(part for part in (place, entry["what"], entry["text"]) if part)
        yield Text.assemble((f"{at:%Y-%m-%dT%H:%M:%SZ} ", "dim"), words)
    for each in diagnoses:
        yield dim(f"--- log of {each['stage']}/{each['step']}")
        yield Text(each["log"].rstrip(), overflow="fold")
    if not journal and not diagnoses:
        yield "no lines"


COMMANDS = (logs,)
