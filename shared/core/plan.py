"""What becomes of each kind of candidate: the steps of a stage, in order, each with the steps that undo it.

The core walks a plan and knows of a step only what stands here. A new step is a line here and a file in
`shared/worker/steps`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from shared.core.messages import Kind


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan, as the core sees it."""

    name: str  #: in the plan
    environment: str = ""  #: whose worker runs it
    limit: timedelta = timedelta(minutes=30)  #: from its first poll to the moment it is given up
    undo: tuple[str, ...] = ()  #: the steps that take its effect away, in order
    undo_limit: timedelta = timedelta(minutes=30)  #: of each of them
    uses: str = ""  #: the step that runs, where the plan has that one more than once; else the name says it
    options: Mapping[str, Any] = field(default_factory=dict)  #: what is said of this step alone
    asked_by: str = ""  #: the setting of a stage that asks for it: without that setting it is left out
    at_source: bool = False  #: runs where the candidate comes from, and once per promotion
    travels: bool = False  #: its evidence is about the candidate itself: later stages and successors see it
    crowns: bool = False  #: once it has succeeded, the candidate is the stage's champion
    tidies: bool = False  #: comes after the crowning and only cleans up: its failure is noted, and undoes nothing
    waits: bool = False  #: no worker runs it: it waits for people
    reviews: bool = False  #: looks at all that is to be deployed: a retry begins here at the latest
    uncrowns: bool = False  #: once it has succeeded, the stage's champion is again what it was before


@dataclass(frozen=True)
class KindRules:
    """The rules for one kind of candidate."""

    plan: tuple[PlannedStep, ...]
    #: Of those that queue for a stage only the newest goes on, and an older version never overtakes a newer one by
    #: itself. Otherwise each goes on in its turn.
    supersedes: bool
    #: Whether a hold keeps it out of a stage.
    is_held: bool
    #: What its version is called.
    version_is: str


KINDS: Mapping[Kind, KindRules] = {
    Kind.MODEL: KindRules(
        plan=(
            PlannedStep("share", limit=timedelta(hours=1), at_source=True, travels=True),
            PlannedStep("validate", limit=timedelta(minutes=10), reviews=True),
            PlannedStep("evaluate", limit=timedelta(hours=2), undo=("cancel_job",), asked_by="evaluate"),
            PlannedStep("approve", limit=timedelta(hours=72), asked_by="approval", waits=True),
            PlannedStep("deploy", limit=timedelta(hours=2), undo=("remove",)),
            PlannedStep("smoke", limit=timedelta(minutes=15)),
            PlannedStep(
                "shift",
                limit=timedelta(minutes=30),
                undo=("reinstate", "restore"),
                undo_limit=timedelta(hours=2),
                crowns=True,
            ),
            PlannedStep("retire", limit=timedelta(hours=1), tidies=True),
        ),
        supersedes=True,
        is_held=True,
        version_is="version",
    ),
    Kind.JOB: KindRules(
        plan=(PlannedStep("register", limit=timedelta(minutes=30), at_source=True),),
        supersedes=False,
        is_held=False,
        version_is="the output of job",
    ),
}

#: The option that names the step which another one undoes.
UNDOES = "undoes"

#: The names of all steps of all plans; those that only undo are not among them.
STEP_NAMES = tuple(step.name for rules in KINDS.values() for step in rules.plan)
UNDO_NAMES = tuple(name for rules in KINDS.values() for step in rules.plan for name in step.undo)


def plan_for(
    kind: Kind,
    *,
    environment: str,
    source: str,
    first: bool,
    limits: Mapping[str, timedelta],
    asked: Collection[str] = (),
    worked: Collection[str] = (),
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> tuple[PlannedStep, ...]:
    """The plan of one stage. `first`: no stage comes before it; `limits`: by step; `asked`: the settings that the stage
    has, which ask for optional steps; `worked`: steps that would wait in the coordinator, and that the environment's
    worker runs instead; `options`: by step, what is said of it alone."""
    return tuple(
        replace(
            step,
            environment=source if step.at_source else environment,
            waits=step.waits and step.name not in worked,
            limit=limits.get(step.name, step.limit),
            options={**step.options, **options.get(step.name, {})},
            undo_limit=limits.get(step.undo[-1], step.undo_limit) if step.undo else step.undo_limit,
        )
        for step in KINDS[kind].plan
        if (first or not step.at_source) and (not step.asked_by or step.asked_by in asked)
    )


def undo_of(plan: PlannedStep) -> tuple[PlannedStep, ...]:
    """The steps that take the effect of a step away, as steps of a walk back. Each is told the name of that step."""
    return tuple(
        PlannedStep(
            name,
            plan.environment,
            plan.undo_limit,
            uncrowns=plan.crowns and name == plan.undo[-1],
            options={UNDOES: plan.name},
        )
        for name in plan.undo
    )
