"""Where the keys and items of a YAML file are: line and column, by their places such as `routes.churn.stages[1]`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from shared.config.faults import Steps, place


@dataclass(frozen=True)
class Position:
    """A place in a file; both are counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class Positions:
    """The positions of a file's keys and items, by place."""

    known: Mapping[str, Position] = field(default_factory=dict)

    def of(self, where: str) -> Position:
        """Return the position of a place, or of the nearest key around it that the file has."""
        around = (each for each in self.known if where == each or where.startswith((f"{each}.", f"{each}[")))
        nearest = max(around, key=len, default=None)
        return self.known[nearest] if nearest else Position()

    def at(self, steps: Steps) -> Position:
        """Return the position of a place that is given as keys and list positions."""
        return self.of(place(steps))


def positions(text: str) -> Positions:
    """Return the positions in a YAML text; none for a text that is no YAML."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return Positions()
    return Positions(dict(_in(root, (), set())) if root is not None else {})


def _in(node: yaml.Node, steps: tuple[str | int, ...], above: set[int]) -> Iterator[tuple[str, Position]]:
    if id(node) in above:  # a value contains itself
        return
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                inner = (*steps, key.value)
                yield place(inner), _start(key)
                yield from _in(value, inner, above)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield place((*steps, number)), _start(item)
            yield from _in(item, (*steps, number), above)


def _start(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
