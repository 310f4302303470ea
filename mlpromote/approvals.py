"""Approvals in an environment's own app: `mlpromote approvals`, and `approve` and `reject` that go to that app."""

from collections.abc import Iterator
from datetime import UTC, datetime

import click
from rich.console import RenderableType
from rich.text import Text

from mlpromote import access
from mlpromote.api import Api, Document, NoSuchAddressError
from mlpromote.capacity import capacity_lines
from mlpromote.commands import command
from mlpromote.evaluations import evaluation_lines
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.pipelines import run_lines
from mlpromote.session import Session
from mlpromote.tables import dim, until


def decide_elsewhere(
    action: str, reference: str, promotion: str, asked: Document, refusal: CommandError, output: Output
) -> ExitCode:
    """Approve or reject, in the environment's own app, exactly what that app shows now.

    `reference` is what the user called the promotion; `asked` is the body of the request that was refused.
    """
    elsewhere = refusal.problem["elsewhere"]
    found = access.of_environment(elsewhere["environment"])
    if found is None:
        raise CommandError(ExitCode.REFUSED, f"{refusal} {_to_set(elsewhere['environment'])}", refusal.problem)
    api = Api(found)
    place = ("approvals", promotion, elsewhere["stage"])
    request = api.get(*place)
    _check_meant(reference, request)
    output.say(f"{api.url}: deciding on {request['model']}/{request['version']}, evidence {request['evidence']}")
    body = {"reason": asked["reason"], "evidence": asked.get("evidence") or request["evidence"]}
    answer = api.post(*place, action, body=body)
    output.result(answer, lambda: [answer["done"]])
    return ExitCode.DONE


def _check_meant(reference: str, request: Document) -> None:
    """Check that the environment means the same MODEL/VERSION as the coordinator. Raises `CommandError` if not."""
    shown = f"{request['model']}/{request['version']}"
    if "/" in reference and reference != shown:
        raise CommandError(
            ExitCode.REFUSED,
            f"Nothing was decided: {request['environment']} shows {shown} for this promotion, not {reference}. "
            "The coordinator may be compromised: check who runs it.",
        )


def _to_set(environment: str) -> str:
    prefix = f"MLPROMOTE_{environment.upper().replace('-', '_')}_"
    return (
        f"Set {prefix}URL to its address and {prefix}SCOPE to its scope. Your token is sent there, so take both from "
        "the people who run that app."
    )


@command("approvals", "list what waits for approval in an environment's own app")
@click.option("--environment", metavar="NAME", help="The environment; MLPROMOTE_<NAME>_URL is its app's address.")
@click.pass_obj
def list_(session: Session, environment: str | None) -> ExitCode:
    """List what waits, with every file that an approval is for."""
    theirs = access.of_environment(environment) if environment else session.access
    if theirs is None:
        raise CommandError(
            ExitCode.USAGE, f"The address of the app of {environment} is not set. {_to_set(environment or '')}"
        )
    waiting = _waiting(Api(theirs))
    session.output.result(waiting, lambda: list(_told(waiting)) or ["nothing waits for approval"])
    return ExitCode.DONE


def _waiting(api: Api) -> list[Document]:
    """Return the requests of the app. Raises `CommandError` if there are none to ask for."""
    try:
        return list(api.get("approvals")["value"])
    except NoSuchAddressError:
        # A wrong address fails here too, and says so. A coordinator answers.
        api.get("promotions", query={"top": "1"})
    raise CommandError(
        ExitCode.NOT_FOUND,
        f"{api.url} takes no approvals for an environment of its own. Run `mlpromote list --status running` and "
        "`mlpromote show` to see what waits for approval there.",
    )


def _told(waiting: list[Document]) -> Iterator[RenderableType]:
    now = datetime.now(UTC)
    for each in waiting:
        given = sum(one["decision"] == "approved" for one in each["decisions"])
        yield Text(f"{each['promotion']}, {each['stage']}: {each['model']}/{each['version']}", style="bold")
        yield Text(f"  {given} of {each['min']} approved; until {until(each['until'], now)}")
        yield Text(f"  evidence {each['evidence']}")
        yield from (dim(f"  {line}") for line in manifest_lines(each["shown"]))
        yield from (Text(f"  {line}") for line in capacity_lines(each["shown"].get("capacity") or {}))
        yield from (Text(f"  {line}") for line in evaluation_lines(each["shown"].get("evaluation") or {}))


def manifest_lines(evidence: Document) -> Iterator[str]:
    """List what would be deployed, or run, one line for each item and file."""
    manifest = evidence.get("manifest") or {}
    if "pipeline" in manifest:
        yield from run_lines(evidence, evidence.get("components") or {})
        return
    for name in ("model", "origin", "endpoint", "environment", "evaluation"):
        if manifest.get(name):
            yield f"{name} {manifest[name]}"
    for name, digest in (manifest.get("files") or {}).items():
        yield f"{digest[:12]} {name}"
    if manifest.get("files_left_out"):
        yield f"and {manifest['files_left_out']} more files"
    for setting, change in (evidence.get("endpoint_changes") or {}).items():
        yield f"changes the endpoint's {setting}: {change}"


COMMANDS = (list_,)
