"""Runs the step that a command names, and turns the port's errors into outcomes: once, for all steps."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.core.live_minute import LiveMinute
from shared.core.messages import Failed, FailureKind, NotRun, Outcome, Retry, RunStep
from shared.core.wire import UndecodableError
from shared.ports import (
    ForbiddenError,
    OutOfQuotaError,
    RejectedError,
    StoreUnavailableError,
    UnavailableError,
    Workspace,
)
from shared.worker.fence import TooLateError, fenced
from shared.worker.measured import Measured
from shared.worker.order import BundleFolder, Rules, Step, no_bundles
from shared.worker.steps import steps

log = logging.getLogger("mlpromote")

#: Used if Azure does not say when to try again.
PAUSE = timedelta(seconds=5)


@dataclass(frozen=True)
class Workplace:
    """What steps run with. Workspaces and rules are found by the name of their environment."""

    workspace: Callable[[str], Workspace]
    rules: Callable[[str], Rules]
    folder: Path  #: that the files which the configuration names lie in
    clock: Callable[[], datetime]
    bundles: BundleFolder = no_bundles  #: the same for the files of a bundle
    saw: Callable[[Sequence[LiveMinute]], None] = lambda _: None  #: takes the live figures that a step saw


def run_step(command: RunStep, at: Workplace, known: Mapping[str, Step[Any, Any]] | None = None) -> Outcome:
    """The outcome of one poll; `known`: the steps by name, if not those of the app. Raises nothing."""
    if command.expired(at.clock()):
        return _too_late(command)
    try:
        step = (steps() if known is None else known).get(command.runs)
        if step is None:
            return _no_step(command)
        workspace = fenced(at.workspace(command.environment), command, at.clock)
        folder = at.bundles(command.bundle) if command.bundle else at.folder
        order = step.order.of(command, workspace, folder, at.rules(command.environment), at.bundles)
        answer: Outcome | Measured = step.run(order)
        if isinstance(answer, Measured):
            at.saw(answer.minutes)
            return answer.outcome
        return answer
    except TooLateError:
        return _too_late(command)
    except UnavailableError as fault:
        return Retry(fault.retry_after if fault.retry_after is not None else PAUSE, str(fault))
    except StoreUnavailableError as fault:  # the store of the environment's own approvals
        return Retry(PAUSE, str(fault))
    except ForbiddenError as fault:
        return Failed(_said_in(command, fault), FailureKind.PERMISSION)
    except OutOfQuotaError as fault:
        return Failed(_said_in(command, fault), FailureKind.QUOTA)
    except RejectedError as fault:
        return Failed(_said_in(command, fault), FailureKind.BAD_CONFIG)
    except UndecodableError as fault:
        return Failed(
            f"{command.step} cannot read the evidence of an earlier step: {fault}. Retry from an earlier step, or "
            "start a new promotion.",
            FailureKind.BUG,
        )
    except Exception as fault:
        # A second delivery would not run. Raising would only hide the bug until the step times out.
        log.exception("%s of %s", command.step, command.promotion)
        return Failed(
            f"{command.step} failed because of a bug in this app: {type(fault).__name__}: {fault}. See its log. "
            "Retry once the bug is fixed.",
            FailureKind.BUG,
        )


def _no_step(command: RunStep) -> Failed:
    return Failed(
        f"This version of the app has no step {command.runs!r}. Deploy the version that started the promotion, or "
        "start a new promotion.",
        FailureKind.BUG,
    )


def _too_late(command: RunStep) -> NotRun:
    return NotRun(
        f"{command.step} reached its worker after {command.not_after:%H:%M:%S} UTC, too late to change anything"
    )


def _said_in(command: RunStep, fault: Exception) -> str:
    """The fault's text, prefixed with the environment unless the stage's name, which precedes each reason, already says
    it."""
    return str(fault) if command.environment == command.stage else f"{command.environment}: {fault}"
