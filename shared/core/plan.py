"""The plan for each kind of candidate: the steps of a stage, in order, each with the steps that undo it.

The core runs plans and knows about a step only what is written here. A new step is a line here and a file in
`shared/worker/steps`.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from shared.core.messages import Kind
from shared.core.replacing import replace


class WaitsFor(StrEnum):
    """What ends a step that only waits. `wait_kinds.py` has the rules of each."""

    PEOPLE = "people"  #: enough people have approved
    TIME = "time"  #: the stages before have served for long enough


class PlannedStep(Struct, frozen=True, omit_defaults=True):
    """A step of a plan, as the core sees it. Plans are most of a promotion's document, so it leaves defaults out."""

    name: str  #: its name in the plan
    environment: str = ""  #: whose worker runs it
    limit: timedelta = timedelta(minutes=30)  #: from its first poll until it has failed
    undo: tuple[str, ...] = ()  #: the steps that undo its effect, in order
    undo_limit: timedelta = timedelta(minutes=30)  #: the limit of each undoing step
    uses: str = ""  #: the step that runs, if it differs from the name: a plan may have a step twice
    options: Mapping[str, Any] = field(default_factory=dict)  #: options for this step alone
    asked_by: str = ""  #: a stage's setting; the step is left out of stages without it
    unless: str = ""  #: a stage's setting; the step is left out of stages with it
    repeats: bool = False  #: once for each entry of the setting that asks for it: `name-1`, `name-2`, …
    at_source: bool = False  #: runs in the environment that the candidate comes from, once per promotion
    travels: bool = False  #: its evidence is about the candidate, so later stages and successors see it
    crowns: bool = False  #: when it succeeds, the candidate becomes the stage's champion
    tidies: bool = False  #: only cleans up after the crowning step: its failure is noted and undoes nothing
    waits: bool = False  #: only waits, until its deadline at the latest; no worker runs it
    waits_for: WaitsFor = WaitsFor.PEOPLE  #: for what, if it waits
    in_window: bool = False  #: begins only while a window of the stage is open
    reads: str = ""  #: a stage's setting: with it, it works from files of the configuration, and again if they differ
    reviews: bool = False  #: reviews everything to be deployed: a retry starts here or earlier
    informs: bool = False  #: people see its evidence, but do not approve it: it may change until they decide
    moves_traffic: bool = False  #: as a step that crowns does: turned back from here on, the stage is held
    holds: bool = False  #: its failure rolls the stage back, and holds it
    makes_room: bool = False  #: when it succeeds, deployments that earlier promotions kept are gone
    delay: timedelta = timedelta(0)  #: so long after the stage's end it runs; the lane does not wait for it
    uncrowns: bool = False  #: when it succeeds, the stage's previous champion is restored

    @property
    def asks_people(self) -> bool:
        """Whether the coordinator waits for people to decide."""
        return self.waits and self.waits_for is WaitsFor.PEOPLE

    @property
    def only_adds(self) -> bool:
        """Whether it neither moves traffic nor removes anything."""
        return not (self.crowns or self.tidies or self.moves_traffic or self.makes_room)


class KindRules(Struct, frozen=True):
    """The rules for one kind of candidate."""

    plan: tuple[PlannedStep, ...]
    #: If true, only the newest of those that queue for a stage continues, and an older version never replaces a newer
    #: one automatically. Otherwise each has its turn.
    supersedes: bool
    #: Whether a hold keeps candidates of this kind out of a stage.
    is_held: bool
    #: What people call its version.
    version_is: str


#: A stage's setting: its endpoint is a batch endpoint.
BATCH_ENDPOINT = "batch_endpoint"
#: A stage's setting: its pipeline is what a file of the configuration defines.
DEFINITION = "definition"
#: A stage's setting: environment assets that its deployment files name are copied to the registry.
COPIES_ENVIRONMENTS = "copies_environments"

#: Waits until the stages before have served the candidate for as long as the stage asks.
_SOAK = PlannedStep(
    "soak", limit=timedelta(days=30), asked_by="soak", waits=True, waits_for=WaitsFor.TIME, informs=True
)

KINDS: Mapping[Kind, KindRules] = {
    Kind.MODEL: KindRules(
        plan=(
            _SOAK,
            PlannedStep("share", limit=timedelta(hours=1), at_source=True, travels=True, reads=COPIES_ENVIRONMENTS),
            PlannedStep("share_data", limit=timedelta(hours=1), asked_by="share_data", at_source=True, travels=True),
            PlannedStep("validate", limit=timedelta(minutes=10), reviews=True),
            PlannedStep("check_capacity", limit=timedelta(minutes=10), informs=True),
            PlannedStep("evaluate", limit=timedelta(hours=2), undo=("cancel_job",), asked_by="evaluate"),
            PlannedStep("approve", limit=timedelta(hours=72), asked_by="approval", waits=True),
            PlannedStep("make_room", limit=timedelta(hours=1), asked_by="keep", makes_room=True, in_window=True),
            PlannedStep("deploy", limit=timedelta(hours=2), undo=("remove",), in_window=True),
            PlannedStep("smoke", limit=timedelta(minutes=15), unless=BATCH_ENDPOINT, in_window=True),
            PlannedStep("invoke", limit=timedelta(hours=2), undo=("cancel_job",), asked_by="test", in_window=True),
            PlannedStep(
                "rollout",
                limit=timedelta(hours=2),
                undo=("reinstate", "restore"),
                undo_limit=timedelta(hours=2),
                asked_by="rollout",
                repeats=True,
                moves_traffic=True,
                in_window=True,
            ),
            PlannedStep(
                "shift",
                limit=timedelta(minutes=30),
                undo=("reinstate", "restore"),
                undo_limit=timedelta(hours=2),
                crowns=True,
                in_window=True,
            ),
            PlannedStep("watch", limit=timedelta(hours=3), asked_by="watch", holds=True),
            # Before the deployment that it watched is removed.
            PlannedStep("move_monitor", limit=timedelta(minutes=30), asked_by="monitor", tidies=True),
            PlannedStep("retire", limit=timedelta(hours=1), tidies=True, in_window=True),
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
    Kind.PIPELINE: KindRules(
        plan=(
            _SOAK,
            PlannedStep(
                "register_components", limit=timedelta(hours=1), at_source=True, travels=True, reads=DEFINITION
            ),
            PlannedStep("share_data", limit=timedelta(hours=1), asked_by="share_data", at_source=True, travels=True),
            PlannedStep("inspect", limit=timedelta(minutes=10), reviews=True),
            PlannedStep("approve", limit=timedelta(hours=72), uses="approve_run", asked_by="approval", waits=True),
            PlannedStep("run", limit=timedelta(hours=24), undo=("cancel_job",), in_window=True),
            PlannedStep("compare", limit=timedelta(minutes=10)),
            PlannedStep("register_model", limit=timedelta(minutes=30), undo=("withdraw",), crowns=True),
        ),
        supersedes=False,  # each runs, in its turn: also one that was asked for again
        is_held=True,
        version_is="after job",
    ),
}

#: The names of all steps of all plans, each once, without those that only undo.
STEP_NAMES = tuple(dict.fromkeys(step.name for rules in KINDS.values() for step in rules.plan))
#: The option that names the step which another one undoes.
UNDOES = "undoes"
#: The option with the number of a step that repeats, from 1.
ENTRY = "entry"

UNDO_NAMES = tuple(dict.fromkeys(name for rules in KINDS.values() for step in rules.plan for name in step.undo))


class PlanSettings(Struct, frozen=True):
    """What a stage's settings say about its plan; all but `asked` by step."""

    asked: Collection[str] = ()  #: names of settings that select steps
    limits: Mapping[str, timedelta] = field(default_factory=dict)  #: time limits
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)  #: how often a step that repeats is in the plan
    delays: Mapping[str, timedelta] = field(default_factory=dict)  #: how long after the stage's end a step runs


def plan_for(
    kind: Kind,
    settings: PlanSettings,
    *,
    environment: str,
    source: str,
    first: bool,
    worked: Collection[str] = (),
) -> tuple[PlannedStep, ...]:
    """The plan of one stage. `first`: no stage comes before it. `worked`: steps that the environment's worker runs,
    although the coordinator normally waits for them."""
    asked_for = [
        step
        for step in KINDS[kind].plan
        if (first or not step.at_source)
        and (not step.asked_by or step.asked_by in settings.asked)
        and (not step.unless or step.unless not in settings.asked)
    ]
    return tuple(
        replace(
            step,
            environment=source if step.at_source else environment,
            waits=step.waits and step.name not in worked,
            reads=step.reads if step.reads in settings.asked else "",
            limit=settings.limits.get(step.name, step.limit),
            delay=settings.delays.get(step.name, step.delay),
            options={**step.options, **settings.options.get(step.name, {})},
            undo_limit=settings.limits.get(step.undo[-1], step.undo_limit) if step.undo else step.undo_limit,
        )
        for planned in asked_for
        for step in (_repeated(planned, settings.times.get(planned.name, 0)) if planned.repeats else (planned,))
    )


def _repeated(step: PlannedStep, times: int) -> Iterator[PlannedStep]:
    for number in range(1, times + 1):
        name = entry_name(step.name, number)
        yield replace(step, name=name, uses=step.name, repeats=False, options={ENTRY: number})


def entry_name(step: str, number: int) -> str:
    """The name of one of the steps that a step of `KINDS` becomes which repeats; `number` is from 1."""
    return f"{step}-{number}"


def undo_of(plan: PlannedStep) -> tuple[PlannedStep, ...]:
    """The steps that undo a step, as planned steps. Each gets the name of that step."""
    return tuple(
        PlannedStep(
            name,
            plan.environment,
            plan.undo_limit,
            uncrowns=plan.crowns and name == plan.undo[-1],
            options={**plan.options, UNDOES: plan.name},
        )
        for name in plan.undo
    )
