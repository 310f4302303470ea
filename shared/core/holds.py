"""Holds that operators set on a route, a model, a stage, or everything (a freeze). Pure.

- A hold keeps promotions from entering a stage. What is in a stage already continues, unless it only waits there until
  it may begin. Nothing is undone because of a hold, and no undo waits for one.
- A hold applies to what it names, also to models and stages that do not exist yet.
- There is one hold on each scope: setting it again replaces it. It ends by itself at `until`, if that is set.
- The hold that a rollback sets on a stage is another one: it is part of the lane (`lane_notes.Hold`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from shared.core.events import NotNowError, Person
from shared.core.replacing import replace
from shared.core.wire import Moment

#: More holds than people can keep in mind, and few enough to be loaded with every lane.
MOST_HOLDS = 100
#: Lines kept of what happened to holds.
MOST_LINES = 200
#: The longest time that a hold can be set for.
LONGEST_HOLD = timedelta(days=365)
#: In a scope: any model, in front of a stage.
ANY = "*"


class Scope(Struct, frozen=True):
    """What a hold applies to. An empty field means any."""

    route: str = ""
    model: str = ""
    stage: str = ""

    def covers(self, route: str, model: str, stage: str) -> bool:
        return self.route in ("", route) and self.model in ("", model) and self.stage in ("", stage)

    @property
    def is_everything(self) -> bool:
        return self == Scope()

    def __str__(self) -> str:
        """As people write it: `churn`, `churn/churn-eu/prod`, `churn/*/prod`; `everything` for a freeze."""
        if self.is_everything:
            return "everything"
        model = self.model or (ANY if self.stage else "")
        return "/".join(filter(None, (self.route, model, self.stage)))


class OperatorHold(Struct, frozen=True):
    """A hold that an operator has set."""

    scope: Scope
    by: str
    reason: str
    since: Moment
    until: Moment | None = None  #: when it ends by itself; None: when somebody releases it

    def is_over(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until

    @property
    def ends_last(self) -> tuple[bool, float]:
        """Sorts holds by their end."""
        return (self.until is None, self.until.timestamp() if self.until else 0.0)


class HoldLine(Struct, frozen=True):
    """One line of the history of holds."""

    number: int  #: from 1, without gaps
    at: Moment
    what: str  #: `set` or `released`
    scope: Scope
    who: str
    reason: str
    until: Moment | None = None


class Holds(Struct, frozen=True):
    """All holds of operators: one document of the store."""

    holds: tuple[OperatorHold, ...] = ()
    history: tuple[HoldLine, ...] = ()  #: the last lines
    published: int = 0  #: the last line that the topic has accepted

    def on(self, route: str, model: str, stage: str, now: datetime) -> OperatorHold | None:
        """The hold that keeps promotions out of a stage now: of several, the one that ends last."""
        found = [each for each in self.in_force(now) if each.scope.covers(route, model, stage)]
        return max(found, key=lambda each: each.ends_last, default=None)

    def in_force(self, now: datetime) -> Iterator[OperatorHold]:
        return (each for each in self.holds if not each.is_over(now))

    @property
    def unpublished(self) -> tuple[HoldLine, ...]:
        return tuple(line for line in self.history if line.number > self.published)


NO_HOLDS = Holds()


def hold(holds: Holds, scope: Scope, by: Person, reason: str, until: datetime | None, now: datetime) -> Holds:
    """Set a hold, in place of another one on the same scope. Raises `NotNowError`."""
    if until is not None and not now < until <= now + LONGEST_HOLD:
        raise NotNowError(
            f"until must be in the future, and within {LONGEST_HOLD.days} days; {until:%Y-%m-%d %H:%M %Z} is not"
        )
    others = tuple(each for each in holds.in_force(now) if each.scope != scope)
    if len(others) >= MOST_HOLDS:
        raise NotNowError(f"there are {MOST_HOLDS} holds already: release one, or hold a whole route")
    made = OperatorHold(scope, by.name, reason, now, until)
    return _noted(replace(holds, holds=(*others, made)), HoldLine(0, now, "set", scope, by.name, reason, until))


def release(holds: Holds, scope: Scope, by: Person, reason: str, now: datetime) -> Holds:
    """Release the hold on exactly this scope. Raises `NotNowError` if there is none."""
    if all(each.scope != scope for each in holds.in_force(now)):
        raise NotNowError(_none_on(holds, scope, now))
    others = tuple(each for each in holds.in_force(now) if each.scope != scope)
    return _noted(replace(holds, holds=others), HoldLine(0, now, "released", scope, by.name, reason, None))


def _none_on(holds: Holds, scope: Scope, now: datetime) -> str:
    what = "there is no freeze" if scope.is_everything else f"there is no hold on {scope}"
    known = ", ".join(sorted(str(each.scope) for each in holds.in_force(now)))
    return f"{what}; held: {known}" if known else f"{what}, and on nothing else"


def _noted(holds: Holds, line: HoldLine) -> Holds:
    """The holds with the line added, under the next number."""
    number = holds.history[-1].number + 1 if holds.history else 1
    return replace(holds, history=(*holds.history, replace(line, number=number))[-MOST_LINES:])
