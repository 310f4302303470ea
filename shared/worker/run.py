"""Runs the step that a command names, and turns the port's errors into outcomes: once, for all steps."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from shared.core.messages import Failed, FailureKind, NotRun, Outcome, Retry, RunStep
from shared.ports import (
    ForbiddenError,
    OutOfQuotaError,
    RejectedError,
    StoreUnavailableError,
    UnavailableError,
    Workspace,
)
from shared.worker.fence import TooLateError, fenced
from shared.worker.rules import Rules
from shared.worker.steps import RULED, STEPS

log = logging.getLogger("mlpromote")

#: Where Azure does not say when to come back.
PAUSE = timedelta(seconds=5)


def run_step(
    command: RunStep,
    workspace_for: Callable[[str], Workspace],
    folder: Path,
    clock: Callable[[], datetime],
    rules_for: Callable[[str], Rules],
) -> Outcome:
    """The outcome of one poll; `workspace_for` and `rules_for` give an environment's workspace and rules by name.

    Raises nothing.
    """
    if command.expired(clock()):
        return _too_late(command)
    try:
        workspace = fenced(workspace_for(command.environment), command, clock)
        if command.step in RULED:
            return RULED[command.step](command, workspace, folder, rules_for(command.environment))
        if command.step in STEPS:
            return STEPS[command.step](command, workspace, folder)
    except TooLateError:
        return _too_late(command)
    except UnavailableError as fault:
        return Retry(fault.retry_after if fault.retry_after is not None else PAUSE, str(fault))
    except StoreUnavailableError as fault:  # of the environment's own approvals
        return Retry(PAUSE, str(fault))
    except ForbiddenError as fault:
        return Failed(_said_in(command, fault), FailureKind.PERMISSION)
    except OutOfQuotaError as fault:
        return Failed(_said_in(command, fault), FailureKind.QUOTA)
    except RejectedError as fault:
        return Failed(_said_in(command, fault), FailureKind.BAD_CONFIG)
    except Exception as fault:
        # Delivered again it would not run: to raise would only hide it until the step's time is over.
        log.exception("%s of %s", command.step, command.promotion)
        return Failed(
            f"{command.step} met a bug of this app: {type(fault).__name__}: {fault}. The app's log has the traceback. "
            "Retry once the bug is mended.",
            FailureKind.BUG,
        )
    return Failed(
        f"This version of the app has no step {command.step!r}. Deploy the version that the promotion was started "
        "with, or start a new promotion.",
        FailureKind.BUG,
    )


def _too_late(command: RunStep) -> NotRun:
    return NotRun(
        f"{command.step} came to its worker after {command.not_after:%H:%M:%S} UTC, too late to change anything"
    )


def _said_in(command: RunStep, fault: Exception) -> str:
    return f"{command.environment}: {fault}"
