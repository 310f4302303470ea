"""The command wait: until something is true of a promotion, for scripts."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.following import POLL_SECONDS, follow, outcome
from mlpromote.promotions import OF_ONE
from mlpromote.references import promotion_id, versioned
from mlpromote.session import Session
from mlpromote.statuses import ENDED, STATUSES

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Condition:
    """What is waited for, and whether it is true of a promotion."""

    words: str
    holds: Callable[[Document], bool]
    stage: str = ""  #: the stage that it is about; empty for the whole promotion
    step: str = ""  #: the step of that stage; empty for the stage


class ConditionType(click.ParamType[Condition]):
    """`succeeded`, `ended`, `approval`, another status, `stage=NAME` or `step=STAGE/STEP`."""

    name = "condition"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        """Return the condition. Fails for anything else."""
        if isinstance(value, Condition):
            return value
        text = str(value)
        kind, _, what = text.partition("=")
        if text == "ended":
            return Condition(text, lambda promotion: promotion["status"] in ENDED)
        if text == "approval":
            return Condition(text, _asks_for_approval)
        if text in STATUSES:
            return Condition(text, lambda promotion: bool(promotion["status"] == text))
        if kind == "stage" and what:
            return Condition(text, lambda promotion: _stage_has_succeeded(promotion, what), what)
        stage, _, step = what.partition("/")
        if kind == "step" and stage and step:
            return Condition(text, lambda promotion: _step_has_succeeded(promotion, stage, step), stage, step)
        known = f"ended, approval, {', '.join(STATUSES)}, stage=NAME and step=STAGE/STEP"
        return self.fail(f"{text!r} is no condition; known are {known}", param, ctx)


class Seconds(click.ParamType[float]):
    """A length of time such as 90s, 30m or 2h, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds. Fails for anything else."""
        if isinstance(value, (int, float)):
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value))
        if not found:
            self.fail(f"{value!r} is no length of time; write 90s, 30m, 2h or 1d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@command(
    "wait",
    "wait until something is true of a promotion",
    more=f"{OF_ONE} Ends with 0 once it is, with 1 if the promotion ends otherwise, and with "
    f"{ExitCode.TIMED_OUT} if that takes too long. With --timeout, the promotion need not have begun.",
)
@click.argument("promotion")
@click.option(
    "--for",
    "condition",
    type=ConditionType(),
    default="succeeded",
    metavar="CONDITION",
    show_default=True,
    help="ended, approval, a status, stage=NAME, or step=STAGE/STEP. A stage or step must have succeeded.",
)
@click.option("--timeout", type=Seconds(), metavar="TIME", help="Such as 90s, 30m or 2h. The default is no limit.")
@click.pass_obj
def wait(session: Session, promotion: str, condition: Condition, timeout: float | None) -> ExitCode:
    """Print what happens meanwhile, and at last the promotion."""
    api, output = session.api, session.output
    deadline = time.monotonic() + timeout if timeout is not None else None
    found = api.get("promotions", _begun(session, promotion, deadline))
    _check_there(condition, found)

    def is_over(now: Document) -> bool:
        return condition.holds(now) or (deadline is not None and time.monotonic() >= deadline)

    last = follow(api, found, output, until=is_over)
    if condition.holds(last):
        output.result(last, lambda: [f"{last['id']}: {condition.words}"])
        return ExitCode.DONE
    if last["status"] in ENDED:
        raise CommandError(ExitCode.REFUSED, f"Waited for `{condition.words}`, but {outcome(last)}")
    waits = "; ".join(f"{each['stage']} waits for {each['for']}" for each in last["waits"]) or last["status"]
    raise CommandError(ExitCode.TIMED_OUT, f"Gave up waiting for `{condition.words}` of {last['id']}: {waits}")


def _check_there(condition: Condition, promotion: Document) -> None:
    """Raise `CommandError` for a stage or step that the promotion does not have: nobody should wait for it."""
    known = {stage["name"]: [step["name"] for step in stage["steps"]] for stage in promotion["stages"]}
    if not condition.stage or (condition.stage in known and not condition.step):
        return
    if condition.stage not in known:
        says = f"no stage {condition.stage}. Its stages: {', '.join(known)}"
    elif condition.step not in known[condition.stage]:
        says = f"no step {condition.step} in {condition.stage}. Its steps: {', '.join(known[condition.stage])}"
    else:
        return
    raise CommandError(ExitCode.NOT_FOUND, f"{promotion['id']} has {says}.")


def _begun(session: Session, promotion: str, deadline: float | None) -> str:
    """Return the promotion's id. With a deadline, a promotion of a version may also begin meanwhile: a job that trains
    has ended before the app has registered its model."""
    told = False
    while True:
        try:
            return promotion_id(session.api, promotion, session.output)
        except CommandError as error:
            if error.exit_code is not ExitCode.NOT_FOUND:
                raise
            if not told:
                _check_can_begin(session, promotion)
            if deadline is None:
                raise
            if time.monotonic() >= deadline:
                raise CommandError(ExitCode.TIMED_OUT, f"No promotion of {promotion} has begun yet.") from error
        if not told:
            session.output.remark(f"No promotion of {promotion} has begun yet; waiting for it.")
            told = True
        time.sleep(min(POLL_SECONDS, max(deadline - time.monotonic(), 0)))


def _check_can_begin(session: Session, promotion: str) -> None:
    """Raise `CommandError` if no route takes the version: nobody should wait for that."""
    try:
        session.api.get("plans", *versioned((promotion,)))
    except CommandError as error:
        # What else is in the way may be gone by the time that the promotion begins.
        if error.problem.get("no_route"):
            raise CommandError(ExitCode.NOT_FOUND, f"No promotion of {promotion} can begin: {error}") from error


def _asks_for_approval(promotion: Document) -> bool:
    stages = (each for each in promotion["stages"] if each["status"] == "running" and each["approval"])
    return any(each["approval"]["status"] == "running" for each in stages)


def _stage_has_succeeded(promotion: Document, name: str) -> bool:
    return any(each["name"] == name and each["status"] == "succeeded" for each in promotion["stages"])


def _step_has_succeeded(promotion: Document, stage: str, name: str) -> bool:
    steps = (step for each in promotion["stages"] if each["name"] == stage for step in each["steps"])
    return any(step["name"] == name and step["status"] == "succeeded" for step in steps)


COMMANDS = (wait,)
