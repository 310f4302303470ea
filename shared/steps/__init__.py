"""What promotions do in Azure ML, one file per step.

A step looks at what is there, starts what is missing, and succeeds when it has read its effect back. It never waits,
and may be run again at any time: it then goes on from what is there. Errors of the port are left to `shared.steps.run`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from shared.core.messages import Outcome, RunStep
from shared.ports import Workspace
from shared.steps import deploy, register, reinstate, remove, restore, retire, share, shift, smoke, validate

#: A step, with the folder that `promotion.yml` and the files it names lie in.
Step = Callable[[RunStep, Workspace, Path], Outcome]

STEPS: Mapping[str, Step] = {
    "share": share.run,
    "validate": validate.run,
    "deploy": deploy.run,
    "remove": remove.run,
    "smoke": smoke.run,
    "shift": shift.run,
    "reinstate": reinstate.run,
    "restore": restore.run,
    "retire": retire.run,
    "register": register.run,
}
