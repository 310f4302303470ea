"""What a step is: its name, what it may use, what it leaves behind. A command becomes its step's order here, once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from shared.config.fields import Frozen
from shared.config.policy import Policy
from shared.core.messages import Champion, Outcome, RunStep
from shared.core.wire import UndecodableError, from_json
from shared.ports import Approvals, Capability, RejectedError, Workspace

S = TypeVar("S", bound=Frozen)
E = TypeVar("E")
T = TypeVar("T")
OrderT = TypeVar("OrderT", bound="Order[Any]")


@dataclass(frozen=True)
class Rules:
    """What holds in an environment whatever a command says."""

    policy: Policy = field(default_factory=Policy)
    approvals: Approvals | None = None  #: where the environment's own app takes approvals
    source: Workspace | None = None  #: where models come from, if this environment's identity may read it
    url: str = ""  #: address of this app, for people
    workspace: str = ""  #: ARM id of the environment's own workspace
    shares_data: frozenset[str] = frozenset()  #: names of the data assets that may leave it for the registry


@dataclass(frozen=True)
class Order(Generic[S]):
    """One poll of a step: the command, and all that the step may use. `S` are the settings of its stage.

    Subclasses name the type of these settings as `parses`.
    """

    command: RunStep
    settings: S
    workspace: Workspace
    folder: Path  #: that `promotion.yml` and the files it names lie in
    rules: Rules

    parses: ClassVar[type[Frozen]]

    @classmethod
    def of(cls, command: RunStep, workspace: Workspace, folder: Path, rules: Rules) -> Self:
        """Raises `RejectedError` for settings that this version does not understand."""
        try:
            settings: Any = cls.parses.parse(command.settings)
        except ValueError as fault:
            raise RejectedError(
                f"The settings of stage {command.stage} cannot be read by this version of the app. Start a new "
                f"promotion: {fault}"
            ) from fault
        return cls(command, settings, workspace, folder, rules)

    def seen(self, step: "Step[E, Any]", name: str = "") -> E:
        """What a step saw that came before; `name` is its name in the plan, where that is not the step's own.

        Raises `UndecodableError` with the name of what is missing.
        """
        found = self.if_seen(step, name)
        if found is None:
            raise UndecodableError(f"{name or step.name}: missing")
        return found

    def if_seen(self, step: "Step[E, Any]", name: str = "") -> E | None:
        """The same, or None where the step has left nothing."""
        evidence = self.command.evidence.get(name or step.name)
        return from_json(step.evidence, evidence) if evidence is not None else None

    def options(self, kind: type[T]) -> T:
        """What the plan says of this step alone, as the dataclass `kind`. Raises `UndecodableError`."""
        return from_json(kind, self.command.options)

    def state(self, kind: type[T]) -> T | None:
        """What the last poll wanted to know at this one, as the dataclass `kind`; None at the first."""
        return from_json(kind, self.command.state) if self.command.state else None


@dataclass(frozen=True)
class Step(Generic[E, OrderT]):
    """One unit of work: a file in `worker/steps`, which has it as `STEP`."""

    name: str
    run: Callable[[OrderT], Outcome]  #: one poll; the port's errors are left to `worker.run`
    evidence: type[E]  #: a dataclass: what it leaves behind once it has succeeded
    order: type[OrderT]  #: what it is given
    needs: Capability | None = None  #: the rights that it takes, beside those to read


def champion_saw(champion: Champion | None, step: Step[E, Any]) -> E | None:
    """What a step saw when the champion was promoted; None where there is no champion, or it left nothing."""
    evidence = champion.evidence.get(step.name) if champion is not None else None
    return from_json(step.evidence, evidence) if evidence is not None else None
