"""What promotions do in Azure ML, one file per step.

A step looks at what is there, starts what is missing, and succeeds when it has read its effect back. It never waits,
and may be run again at any time: it then goes on from what is there. Errors of the port are left to `worker.run`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from shared.core.messages import Outcome, RunStep
from shared.ports import Workspace
from shared.worker.rules import Rules
from shared.worker.steps import (
    approve,
    deploy,
    register,
    reinstate,
    remove,
    restore,
    retire,
    share,
    shift,
    smoke,
    validate,
)

#: A step, with the folder that `promotion.yml` and the files it names lie in.
Step = Callable[[RunStep, Workspace, Path], Outcome]

#: A step that the environment's own rules decide about.
RuledStep = Callable[[RunStep, Workspace, Path, Rules], Outcome]

STEPS: Mapping[str, Step] = {
    "share": share.run,
    "remove": remove.run,
    "smoke": smoke.run,
    "shift": shift.run,
    "retire": retire.run,
    "register": register.run,
}
RULED: Mapping[str, RuledStep] = {
    "validate": validate.run,
    "approve": approve.run,
    "deploy": deploy.run,
    "reinstate": reinstate.run,
    "restore": restore.run,
}
