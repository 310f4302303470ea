"""The commands for promotions: start, list, show, approve, reject, cancel, roll-back, abandon, retire, retry."""

import argparse
from collections.abc import Callable
from typing import Any

from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.approvals import decide_elsewhere
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.following import follow
from mlpromote.output import Output
from mlpromote.promotion_list import listed
from mlpromote.promotion_sheet import sheet
from mlpromote.statuses import ENDED_OTHERWISE, STATUSES
from mlpromote.tables import spoken
from mlpromote.trace import drawn

#: How many of a model's newest promotions are searched for a version.
NEWEST = 1000
USUAL_MOST = 50

Run = Callable[[Access, argparse.Namespace, Output], ExitCode]


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    start = _command(commands, common, "start", "promote a model version, or the pipeline that a job ran", _start)
    start.add_argument("model", help="a model, or the route of a pipeline")
    start.add_argument("version", help="the model's version; for a pipeline, the job that ran it")
    _add_reason(start)
    start.add_argument("--source", metavar="ENVIRONMENT", help="where the version is registered, or `registry`")
    start.add_argument("--route", help="required if several routes take the model")
    start.add_argument("--through", metavar="STAGE", help="stop after this stage")
    start.add_argument(
        "--idempotency-key", metavar="TEXT", help="repeating a request with the same key returns the same promotion"
    )
    _add_watch(start)

    list_ = _command(commands, common, "list", "list promotions, newest first", _list)
    for name in ("route", "model", "environment"):
        list_.add_argument(f"--{name}")
    list_.add_argument("--status", choices=STATUSES, metavar="STATUS", help=", ".join(STATUSES))
    list_.add_argument("--top", type=positive, default=USUAL_MOST, help="at most so many (default: %(default)s)")
    list_.add_argument("--all", action="store_true", help="all of them")

    show = _about_one(commands, common, "show", "show one promotion in full", _show)
    show.add_argument("--journal", action="store_true", help="also show who did what, and when")
    show.add_argument("--trace", action="store_true", help="show its steps over time and their functions")
    _add_watch(show)

    approve = _act(commands, common, "approve", "approve a stage that waits for approval")
    _add_stage(approve)
    approve.add_argument(
        "--evidence", metavar="DIGEST", help="digest shown by `show`; refused if the evidence has changed since"
    )
    _add_watch(approve)
    _add_stage(_act(commands, common, "reject", "reject a stage that waits for approval; this ends the promotion"))
    _act(commands, common, "cancel", "cancel a promotion; rolls back if traffic has started to move")
    _add_stage(_act(commands, common, "roll-back", "return the traffic to the previous deployment, and hold the stage"))
    _add_stage(_act(commands, common, "abandon", "stop undoing a promotion and leave it as it is"))
    _add_stage(_act(commands, common, "retire", "remove the replaced deployments that a promotion keeps"))
    retry = _act(commands, common, "retry", "retry a failed promotion, or poll a running one now")
    retry.add_argument("--from-step", dest="from_step", metavar="STEP", help="resume from this earlier step")
    _add_watch(retry)


# --- the commands -----------------------------------------------------------------------------------------------------


def _start(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    api = Api(access)
    body = {name: getattr(options, name) for name in ("model", "version", "reason", "source", "route", "through")}
    headers = {"Idempotency-Key": options.idempotency_key} if options.idempotency_key else {}
    promotion = api.post("promotions", body=body, headers=headers)
    if options.watch:
        output.say(f"promotion {promotion['id']} started")
        return _followed(api, promotion, output)
    output.result(promotion, lambda: [f"promotion {promotion['id']} started"])
    return ExitCode.DONE


def _list(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    query = {name: getattr(options, name) for name in ("route", "model", "environment", "status")}
    found = list(Api(access).entries("promotions", query=query, most=None if options.all else options.top))
    output.result(found, lambda: [listed(found, output.clock()) if found else "no promotions"])
    return ExitCode.DONE


def _show(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    api = Api(access)
    promotion = api.get("promotions", promotion_id(api, options.promotion))
    if options.watch:
        return _followed(api, promotion, output)
    if options.trace:
        trace = api.get("promotions", promotion["id"], "trace")
        output.result(trace, lambda: drawn(promotion, trace, output.clock()))
        return ExitCode.DONE
    output.result(promotion, lambda: [sheet(promotion, output.clock(), with_journal=options.journal)])
    return ExitCode.DONE


def _asked(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    api = Api(access)
    names = ("reason", "stage", "evidence", "from_step")
    body = {name: getattr(options, name) for name in names if hasattr(options, name)}
    meant = promotion_id(api, options.promotion)
    try:
        answer = api.post("promotions", meant, options.action, body=body)
    except CommandError as refusal:
        if "elsewhere" not in refusal.problem:
            raise
        return decide_elsewhere(options, meant, refusal, output)
    promotion = answer["promotion"]
    if getattr(options, "watch", False):
        output.say(answer["done"])
        return _followed(api, promotion, output)
    output.result(answer, lambda: [answer["done"], f"promotion {promotion['id']} is {spoken(promotion['status'])}"])
    return ExitCode.DONE


def _followed(api: Api, promotion: Document, output: Output) -> ExitCode:
    ended = follow(api, promotion, output)
    status = ended["status"]
    how = f"been {spoken(status)}" if status in ENDED_OTHERWISE else status
    why = f": {ended['reason']}" if ended["reason"] else ""
    output.result(ended, lambda: [f"{ended['id']} has {how}{why}"])
    return ExitCode.DONE if status == "succeeded" else ExitCode.REFUSED


def promotion_id(api: Api, reference: str) -> str:
    """Return the promotion id for an id, a MODEL/VERSION or a ROUTE/JOB.

    A model's version is preferred to a job of the same name.
    """
    model, separator, version = reference.partition("/")
    if not separator:
        return reference
    of_job = None
    for found in api.entries("promotions", query={"model": model}, most=NEWEST):
        if found["version"] == version and found["kind"] == "model":
            return str(found["id"])
        if found["version"] == version:
            of_job = of_job or str(found["id"])
    if of_job:
        return of_job
    raise CommandError(
        ExitCode.NOT_FOUND,
        f"There is no promotion of {model} version {version}. Run `mlpromote list` to see what exists.",
    )


# --- their arguments --------------------------------------------------------------------------------------------------


def _command(commands: Any, common: argparse.ArgumentParser, name: str, what: str, run: Run) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, parents=[common], help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    made.set_defaults(run=run)
    return made


def _about_one(
    commands: Any, common: argparse.ArgumentParser, name: str, what: str, run: Run
) -> argparse.ArgumentParser:
    made = _command(commands, common, name, what, run)
    made.add_argument("promotion", help="id, or MODEL/VERSION (ROUTE/JOB for a pipeline) for its newest promotion")
    return made


def _act(commands: Any, common: argparse.ArgumentParser, name: str, what: str) -> argparse.ArgumentParser:
    made = _about_one(commands, common, name, what, _asked)
    made.set_defaults(action=name)
    _add_reason(made)
    return made


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")


def _add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", help="the stage; required if several qualify")


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help="wait until it ends; exit code 0 only if it succeeds")


def positive(text: str) -> int:
    """Parse a whole number of 1 or more, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
