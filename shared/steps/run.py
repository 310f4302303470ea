"""Runs the step that a command names, and turns the port's errors into outcomes: once, for all steps."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from shared.core.messages import Failed, FailureKind, Outcome, Retry, RunStep
from shared.ports import ForbiddenError, OutOfQuotaError, RejectedError, UnavailableError, Workspace
from shared.steps import RULED, STEPS
from shared.steps.rules import Rules

#: Where Azure does not say when to come back.
PAUSE = timedelta(seconds=5)


def run_step(
    command: RunStep,
    workspace_for: Callable[[str], Workspace],
    folder: Path,
    now: datetime,
    rules_for: Callable[[str], Rules],
) -> Outcome:
    """The outcome of one look; `workspace_for` and `rules_for` give an environment's workspace and rules by name.

    Raises only for a bug.
    """
    if command.expired(now):
        return Failed(f"{command.step} was given up at {command.deadline}: nothing was done.", FailureKind.TIMEOUT)
    try:
        if command.step in RULED:
            rules = rules_for(command.environment)
            return RULED[command.step](command, workspace_for(command.environment), folder, rules)
        if command.step in STEPS:
            return STEPS[command.step](command, workspace_for(command.environment), folder)
    except UnavailableError as fault:
        return Retry(fault.retry_after if fault.retry_after is not None else PAUSE, str(fault))
    except ForbiddenError as fault:
        return Failed(_said_in(command, fault), FailureKind.PERMISSION)
    except OutOfQuotaError as fault:
        return Failed(_said_in(command, fault), FailureKind.QUOTA)
    except RejectedError as fault:
        return Failed(_said_in(command, fault), FailureKind.BAD_CONFIG)
    return Failed(
        f"This version of the app has no step {command.step!r}. Deploy the version that the promotion was started "
        "with, or start a new promotion.",
        FailureKind.BUG,
    )


def _said_in(command: RunStep, fault: Exception) -> str:
    return f"{command.environment}: {fault}"
