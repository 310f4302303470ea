"""Approvals that an environment takes in an app of its own: `mlpromote approvals`, and where `approve` leads there."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from mlpromote import access
from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.ends import CommandError, Exit
from mlpromote.output import Output
from mlpromote.tables import dim, until


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Describe it."""
    what = "show what an environment asks people to approve in its own app"
    made = commands.add_parser(
        "approvals", parents=[common], help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    made.add_argument("--environment", metavar="NAME", help="whose app: MLPROMOTE_<NAME>_URL says where it is")
    made.set_defaults(run=_list)


def decide_elsewhere(options: argparse.Namespace, promotion: str, refusal: CommandError, output: Output) -> Exit:
    """Approve or reject in the app of the environment: exactly what that app shows now."""
    elsewhere = refusal.problem["elsewhere"]
    found = access.of_environment(elsewhere["environment"])
    if found is None:
        raise CommandError(Exit.REFUSED, f"{refusal} {_to_set(elsewhere['environment'])}", refusal.problem)
    api = Api(found)
    place = ("approvals", promotion, elsewhere["stage"])
    request = api.get(*place)
    _check_meant(options.promotion, request)
    output.say(f"{api.url} asks about {request['model']}/{request['version']}, evidence {request['evidence']}")
    body = {"reason": options.reason, "evidence": getattr(options, "evidence", None) or request["evidence"]}
    answer = api.post(*place, options.action, body=body)
    output.result(answer, lambda: [answer["done"]])
    return Exit.DONE


def _check_meant(reference: str, request: Document) -> None:
    """The coordinator has said which promotion MODEL/VERSION is: the environment must agree."""
    shown = f"{request['model']}/{request['version']}"
    if "/" in reference and reference != shown:
        raise CommandError(
            Exit.REFUSED,
            f"{request['environment']} asks about {shown} under that promotion, not about {reference}: nothing was "
            "decided. Look who runs the coordinator.",
        )


def _to_set(environment: str) -> str:
    prefix = f"MLPROMOTE_{environment.upper().replace('-', '_')}_"
    return (
        f"Set {prefix}URL to the address of that app, as whoever runs it tells you, and {prefix}SCOPE to its scope: "
        "your token goes there."
    )


def _list(found: Access, options: argparse.Namespace, output: Output) -> Exit:
    theirs = access.of_environment(options.environment) if options.environment else found
    if theirs is None:
        raise CommandError(Exit.USAGE, f"The app of {options.environment} is not known. {_to_set(options.environment)}")
    waiting = Api(theirs).get("approvals")["value"]
    output.result(waiting, lambda: list(_told(waiting)) or ["nothing waits for approval"])
    return Exit.DONE


def _told(waiting: list[Document]) -> Iterator[RenderableType]:
    now = datetime.now(UTC)
    for each in waiting:
        given = sum(one["decision"] == "approved" for one in each["decisions"])
        yield Text(f"{each['promotion']}, {each['stage']}: {each['model']}/{each['version']}", style="bold")
        yield Text(f"  {given} of {each['min']} approved; until {until(each['until'], now)}")
        yield Text(f"  evidence {each['evidence']}")
        yield from (dim(f"  {line}") for line in manifest_lines(each["shown"]))


def manifest_lines(evidence: Document) -> Iterator[str]:
    """What would be deployed, a line for each thing and file."""
    manifest = evidence.get("manifest") or {}
    for name in ("model", "origin", "endpoint"):
        if manifest.get(name):
            yield f"{name} {manifest[name]}"
    for name, digest in (manifest.get("files") or {}).items():
        yield f"{digest[:12]} {name}"
    if manifest.get("files_left_out"):
        yield f"and {manifest['files_left_out']} more files"
