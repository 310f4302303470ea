"""Defines a step: its name, its inputs and its evidence. Parses a command, once, into the order that its step gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from shared.config.fields import Frozen
from shared.config.policy import Policy
from shared.core.messages import Champion, Outcome, RunStep
from shared.core.wire import UndecodableError, from_json
from shared.ports import Approvals, Capability, RejectedError, Workspace
from shared.worker.measured import Measured

S = TypeVar("S", bound=Frozen)
E = TypeVar("E")
T = TypeVar("T")
OrderT = TypeVar("OrderT", bound="Order[Any]")


#: The folder of a bundle's files, by digest. Raises `RejectedError` if the bundle cannot be used.
BundleFolder = Callable[[str], Path]


def no_bundles(digest: str) -> Path:
    """Of an app whose routes are in its own file."""
    raise RejectedError(f"This app has no bundles, but the promotion uses {digest[:12]}. Start a new promotion.")


@dataclass(frozen=True)
class Rules:
    """What applies in an environment, whatever a command says."""

    policy: Policy = field(default_factory=Policy)
    approvals: Approvals | None = None  #: set if the environment's own app takes approvals
    source: Workspace | None = None  #: the workspace that models come from, if this environment's identity may read it
    url: str = ""  #: address of this app, for people
    workspace: str = ""  #: ARM id of the environment's own workspace
    prices: Mapping[str, float] = field(default_factory=dict)  #: of an instance for an hour, by size
    currency: str = ""
    shares_data: frozenset[str] = frozenset()  #: names of the data assets that may leave it for the registry

    def is_own(self, workspace: str) -> bool:
        """Return whether an ARM id names the environment's own workspace. Azure does not keep case."""
        return workspace.rstrip("/").casefold() == self.workspace.casefold()


@dataclass(frozen=True)
class Order(Generic[S]):
    """One poll of a step: the command, and everything that the step may use. `S` is the type of its stage's settings.

    Subclasses name that type in `parses`.
    """

    command: RunStep
    settings: S
    workspace: Workspace
    folder: Path  #: contains `promotion.yml` and the files that it names
    rules: Rules
    bundles: BundleFolder = no_bundles

    parses: ClassVar[type[Frozen]]

    @classmethod
    def of(
        cls,
        command: RunStep,
        workspace: Workspace,
        folder: Path,
        rules: Rules,
        bundles: BundleFolder = no_bundles,
    ) -> Self:
        """Parse a command. Raises `RejectedError` for settings that this version does not understand."""
        try:
            settings: Any = cls.parses.parse(command.settings)
        except ValueError as fault:
            raise RejectedError(
                f"This version of the app cannot read the settings of stage {command.stage}. Start a new "
                f"promotion: {fault}"
            ) from fault
        return cls(command, settings, workspace, folder, rules, bundles)

    def seen(self, step: "Step[E, Any]", name: str = "") -> E:
        """The evidence of an earlier step. `name` is its name in the plan, if that differs from the step's own name.

        Raises `UndecodableError` with the name of what is missing.
        """
        found = self.if_seen(step, name)
        if found is None:
            raise UndecodableError(f"{name or step.name}: missing")
        return found

    def if_seen(self, step: "Step[E, Any]", name: str = "") -> E | None:
        """The same, or None if the step left no evidence."""
        evidence = self.command.evidence.get(name or step.name)
        return from_json(step.evidence, evidence) if evidence is not None else None

    def options(self, kind: type[T]) -> T:
        """The options of this step in the plan, as the dataclass `kind`. Raises `UndecodableError`."""
        return from_json(kind, self.command.options)

    def state(self, kind: type[T]) -> T | None:
        """The state that the last poll kept for this one, as the dataclass `kind`; None at the first poll."""
        return from_json(kind, self.command.state) if self.command.state else None


class AnyStage(Frozen):
    """A stage of any kind, for steps that use none of its settings."""

    @classmethod
    def parse(cls, _: object) -> Self:
        return cls()


class AnyOrder(Order[AnyStage]):
    """An order whose command and plan say everything."""

    parses = AnyStage


@dataclass(frozen=True)
class Step(Generic[E, OrderT]):
    """One unit of work. Each file in `worker/steps` defines one as `STEP`."""

    name: str
    run: Callable[[OrderT], Outcome | Measured]  #: one poll; `run.py` handles the port's errors
    evidence: type[E]  #: a dataclass: what it leaves behind when it succeeds
    order: type[OrderT]  #: what it is given
    needs: Capability | None = None  #: the rights that it needs in addition to reading


def champion_saw(champion: Champion | None, step: Step[E, Any]) -> E | None:
    """The evidence of a step from when the champion was promoted; None without a champion or evidence."""
    evidence = champion.evidence.get(step.name) if champion is not None else None
    return from_json(step.evidence, evidence) if evidence is not None else None
