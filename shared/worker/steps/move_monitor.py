"""Points the stage's monitor at the new deployment, and makes the monitor if it is missing.

Only tidies up: the new deployment serves already, so a failure is noted and undoes nothing.
"""

from shared.core.messages import Outcome
from shared.ports import Capability
from shared.worker import monitors
from shared.worker.monitors import Watched
from shared.worker.order import Step
from shared.worker.target import Target


def run(target: Target) -> Outcome:
    return monitors.watch(target, target.deployment)


STEP = Step("move_monitor", run, Watched, Target, Capability.DEPLOY)
