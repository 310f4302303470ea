"""What the files of model monitors must say beside what Azure ML asks of them: each model needs a monitor of its own,
since a monitor watches one deployment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from shared.config import patterns
from shared.config.agreement import may_meet
from shared.config.azure_names import MODEL
from shared.config.faults import Steps, place


@dataclass(frozen=True)
class Monitoring:
    """A stage and the name of its monitor."""

    steps: Steps  #: of the stage's `monitor`
    file: str  #: as the stage names it
    name: str  #: as the file says, perhaps with `{model}`
    models: tuple[str, ...]  #: of the route
    workspace: str  #: where the stage deploys


def faults(content: Mapping[str, Any], models: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the name in a monitor's file, for a route that takes these models."""
    name = content.get("name")
    if not isinstance(name, str) or not name:
        yield "needs a name, that of the monitor in the workspace"
    elif MODEL not in name and patterns.only_name(models) is None:
        yield f"several models of this route would share the monitor {name!r}: add {MODEL} to its name"


def shared(monitorings: Sequence[Monitoring]) -> Iterator[tuple[Monitoring, str]]:
    """Yield each stage whose monitor may be that of an earlier stage in the same workspace, and why that is a fault."""
    for one, other in combinations(monitorings, 2):
        if one.workspace.casefold() != other.workspace.casefold():
            continue
        if may_meet(one.name, one.models, other.name, other.models):
            says = f"{other.file} names the monitor {other.name!r}, which may be that of {place(one.steps)}"
            yield other, f"{says} in the same workspace: give each stage a monitor of its own"
