"""What the lineage reads of the steps' evidence, each step's as its own type.

Evidence that another version of the app wrote may not fit its type any more. Then it counts as not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.core.approval import APPROVE, ApprovalEvidence
from shared.core.messages import Evidence
from shared.core.promotion import StageRun
from shared.core.wire import if_readable
from shared.worker.evaluation import Evaluated
from shared.worker.order import Step
from shared.worker.steps import deploy, evaluate, invoke, register, register_components, register_model, run, share
from shared.worker.steps.deploy import Deployed
from shared.worker.steps.invoke import Invoked
from shared.worker.steps.register_components import RegisteredComponents
from shared.worker.steps.run import Ran
from shared.worker.steps.share import Shared

E = TypeVar("E")


@dataclass(frozen=True)
class Seen:
    """The evidence of one candidate; None for a step that left none, or none that can be read."""

    approval: ApprovalEvidence | None
    evaluated: Evaluated | None
    shared: Shared | None
    registered: RegisteredComponents | None
    ran: Ran | None
    deployed: Deployed | None
    tested: Invoked | None

    @classmethod
    def of(cls, evidence: Mapping[str, Evidence]) -> "Seen":
        """From the evidence by step."""
        return cls(
            approval=if_readable(ApprovalEvidence, evidence.get(APPROVE)),
            evaluated=_read(evaluate.STEP, evidence),
            shared=_read(share.STEP, evidence),
            registered=_read(register_components.STEP, evidence),
            ran=_read(run.STEP, evidence),
            deployed=_read(deploy.STEP, evidence),
            tested=_read(invoke.STEP, evidence),
        )


def registered(stage: StageRun) -> set[tuple[str, str]]:
    """The names and versions of the models that the stage's steps have registered."""
    evidence = {step.plan.name: step.evidence for step in stage.steps}
    found = (_read(register.STEP, evidence), _read(register_model.STEP, evidence))
    return {(made.model, made.version) for made in found if made is not None}


def _read(step: Step[E, Any], evidence: Mapping[str, Evidence]) -> E | None:
    return if_readable(step.evidence, evidence.get(step.name))
