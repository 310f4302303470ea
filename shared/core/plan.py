"""Plans: the steps of a stage, in order, each with the step that undoes it.

The core walks a plan and knows of a step only what stands here. A new capability is a line here and a file in
`shared/steps`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.messages import Kind


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan, as the core sees it."""

    name: str
    environment: str = ""  #: whose worker runs it
    limit: timedelta = timedelta(minutes=30)  #: from its first poll to the moment it is given up
    undo: tuple[str, ...] = ()  #: the steps that take its effect away, in order
    undo_limit: timedelta = timedelta(minutes=30)  #: of each of them
    at_source: bool = False  #: runs where the candidate comes from, and once per promotion
    travels: bool = False  #: its evidence is about the candidate itself: later stages and successors see it
    crowns: bool = False  #: once it has succeeded, the candidate is the stage's champion
    tidies: bool = False  #: comes after the crowning and only cleans up: its failure is noted, and undoes nothing
    waits: bool = False  #: no worker runs it: it waits for people
    reviews: bool = False  #: looks at all that is to be deployed: a retry begins here at the latest
    uncrowns: bool = False  #: once it has succeeded, the stage's champion is again what it was before


MODEL_PLAN = (
    PlannedStep("share", limit=timedelta(hours=1), at_source=True, travels=True),
    PlannedStep("validate", limit=timedelta(minutes=10), reviews=True),
    PlannedStep("approve", limit=timedelta(hours=72), waits=True),
    PlannedStep("deploy", limit=timedelta(hours=2), undo=("remove",)),
    PlannedStep("smoke", limit=timedelta(minutes=15)),
    PlannedStep(
        "shift", limit=timedelta(minutes=30), undo=("reinstate", "restore"), undo_limit=timedelta(hours=2), crowns=True
    ),
    PlannedStep("retire", limit=timedelta(hours=1), tidies=True),
)
JOB_PLAN = (PlannedStep("register", limit=timedelta(minutes=30), at_source=True),)

PLANS = {Kind.MODEL: MODEL_PLAN, Kind.JOB: JOB_PLAN}
#: The names of all steps of all plans; those that only undo are not among them.
STEP_NAMES = tuple(step.name for plan in PLANS.values() for step in plan)
UNDO_NAMES = tuple(name for plan in PLANS.values() for step in plan for name in step.undo)


def plan_for(
    kind: Kind,
    *,
    environment: str,
    source: str,
    first: bool,
    limits: Mapping[str, timedelta],
    left_out: Collection[str] = (),
    worked: Collection[str] = (),
) -> tuple[PlannedStep, ...]:
    """The plan of one stage, without the steps `left_out`. `first`: no stage comes before it; `limits`: by step;
    `worked`: steps that would wait in the coordinator, and that the environment's worker runs instead."""
    return tuple(
        replace(
            step,
            environment=source if step.at_source else environment,
            waits=step.waits and step.name not in worked,
            limit=limits.get(step.name, step.limit),
            undo_limit=limits.get(step.undo[-1], step.undo_limit) if step.undo else step.undo_limit,
        )
        for step in PLANS[kind]
        if (first or not step.at_source) and step.name not in left_out
    )


def undo_of(plan: PlannedStep) -> tuple[PlannedStep, ...]:
    """The steps that take the effect of a step away, as steps of a walk back."""
    return tuple(
        PlannedStep(name, plan.environment, plan.undo_limit, uncrowns=plan.crowns and name == plan.undo[-1])
        for name in plan.undo
    )
