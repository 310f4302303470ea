"""The commands for promotions: start, list, show, approve, reject, cancel, roll-back, abandon, retire, retry."""

from collections.abc import Sequence
from typing import Any

import click

from mlpromote.approvals import decide_elsewhere
from mlpromote.commands import POSITIVE, Decorator, command, options, reason
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.following import followed
from mlpromote.live_series import live_series
from mlpromote.output import Output
from mlpromote.promotion_list import listed
from mlpromote.promotion_sheet import changed_settings, sheet
from mlpromote.references import promotion_id, versioned
from mlpromote.session import Session
from mlpromote.statuses import STATUSES
from mlpromote.tables import spoken
from mlpromote.trace import drawn

USUAL_MOST = 50

_promotion = click.argument("promotion", metavar="PROMOTION")
_watch = click.option("--watch", is_flag=True, help="Wait until it ends; exit code 0 only if it succeeds.")
_stage = click.option("--stage", help="The stage; required if several qualify.")
#: What PROMOTION stands for, in the help of each command that takes one.
OF_ONE = "PROMOTION is an id, or MODEL/VERSION; for a pipeline, ROUTE/JOB."


# --- start, list, show ------------------------------------------------------------------------------------------------


@command(
    "start",
    "promote a model version, or the pipeline that a job ran",
    more="VERSION is MODEL/VERSION, or the two as separate words; for a pipeline, ROUTE/JOB.",
)
@click.argument("candidate", metavar="VERSION", nargs=-1, required=True)
@reason()
@click.option("--source", metavar="ENVIRONMENT", help="Where the version is registered, or `registry`.")
@click.option("--route", help="Required if several routes take the model.")
@click.option("--through", metavar="STAGE", help="Stop after this stage.")
@click.option(
    "--idempotency-key",
    metavar="TEXT",
    help="A second request with the same key starts nothing, and returns the same promotion.",
)
@_watch
@click.pass_obj
def start(
    session: Session, /, candidate: tuple[str, ...], idempotency_key: str | None, watch: bool, **options: str | None
) -> ExitCode:
    """For a pipeline, the model is its route and the version the job that ran it."""
    model, version = versioned(candidate)
    body = {"model": model, "version": version, **options}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    promotion = session.api.post("promotions", body=body, headers=headers)
    if watch:
        session.output.say(f"promotion {promotion['id']} started")
        return followed(session.api, promotion, session.output)
    session.output.result(promotion, lambda: [f"promotion {promotion['id']} started"])
    return ExitCode.DONE


@command("list", "list promotions, newest first")
@click.option("--route", help="Only on this route.")
@click.option("--model", help="Only of this model.")
@click.option("--environment", help="Only with a stage in this environment.")
@click.option("--status", type=click.Choice(STATUSES), metavar="STATUS", help=", ".join(STATUSES))
@click.option(
    "--top", type=POSITIVE, metavar="NUMBER", default=USUAL_MOST, show_default=True, help="List at most this many."
)
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@click.pass_obj
def list_(session: Session, /, top: int, everything: bool, **query: str | None) -> ExitCode:
    """List them with status, stage, age and reason."""
    found = list(session.api.entries("promotions", query=query, most=None if everything else top))
    now = session.output.clock()
    session.output.result(found, lambda: [listed(found, now) if found else "no promotions"])
    return ExitCode.DONE


@command("show", "show one promotion in full", more=OF_ONE)
@_promotion
@click.option("--journal", is_flag=True, help="Also show who did what, and when.")
@click.option("--trace", is_flag=True, help="Show its steps over time and their functions.")
@_watch
@click.pass_obj
def show(session: Session, promotion: str, journal: bool, trace: bool, watch: bool) -> ExitCode:
    """Show stages, steps, evidence, approvals and what it waits for."""
    api, output = session.api, session.output
    found = api.get("promotions", promotion_id(api, promotion, output))
    if watch:
        return followed(api, found, output)
    if trace:
        spans = api.get("promotions", found["id"], "trace")
        output.result(spans, lambda: drawn(found, spans, output.clock()))
        return ExitCode.DONE
    output.result(found, lambda: [sheet(found, output.clock(), journal, live_series(api, found))])
    return ExitCode.DONE


# --- what people decide -----------------------------------------------------------------------------------------------


def _action(name: str, what: str, *own: Decorator) -> click.Command:
    """Declare a command that asks for something to be done with a promotion."""

    @command(name, what, more=OF_ONE)
    @_promotion
    @reason()
    @options(own)
    @click.pass_obj
    def act(session: Session, /, promotion: str, watch: bool = False, **body: str | None) -> ExitCode:
        return _asked(session, name, promotion, body, watch)

    made: click.Command = act
    return made


def _asked(session: Session, action: str, reference: str, body: dict[str, Any], watch: bool) -> ExitCode:
    api, output = session.api, session.output
    meant = promotion_id(api, reference, output, serving=action == "roll-back")
    try:
        answer = api.post("promotions", meant, action, body=body)
    except CommandError as refusal:
        if "elsewhere" not in refusal.problem:
            raise
        return decide_elsewhere(action, reference, meant, body, refusal, output)
    promotion = answer["promotion"]
    others = [*changed_settings(promotion)] if action == "retry" else []
    if watch:
        output.say(answer["done"], *others)
        return followed(api, promotion, output)
    _tell_done(answer, others, output)
    return ExitCode.DONE


def _tell_done(answer: dict[str, Any], others: Sequence[str], output: Output) -> None:
    promotion = answer["promotion"]
    status = f"promotion {promotion['id']} is {spoken(promotion['status'])}"
    output.result(answer, lambda: [answer["done"], status, *others])


_evidence = click.option(
    "--evidence", metavar="DIGEST", help="Digest shown by `show`; refused if the evidence has changed since."
)
_from_step = click.option("--from-step", metavar="STEP", help="Resume from this earlier step.")

DECISIONS = (
    _action("approve", "approve a stage that waits for approval", _stage, _evidence, _watch),
    _action("reject", "reject a stage that waits for approval; this ends the promotion", _stage),
)
COMMANDS = (
    start,
    list_,
    show,
    _action("cancel", "cancel a promotion, and roll it back if traffic has started to move"),
    _action("roll-back", "return the traffic to the previous deployment, and hold the stage", _stage),
    _action("abandon", "stop undoing a promotion, and leave everything as it is now", _stage),
    _action("retire", "remove the replaced deployments that a promotion keeps, before their time is up", _stage),
    _action("retry", "retry a failed or refused promotion, or poll a running one now", _from_step, _watch),
)
