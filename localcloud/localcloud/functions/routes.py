"""Routes of HTTP triggers: templates as in ASP.NET Core, and which of several matches comes first."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote
from uuid import UUID

from localcloud.functions.definition import FunctionDefinition, HostError

Constraint = Callable[[str], bool]

#: Reserved: no route of an app may begin with these.
_RESERVED = ("admin", "runtime")

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::(?:[^{}()=?]|\((?:[^()]|\([^()]*\))*\))+)*)(?:=([^{}?]*))?(\?)?\}")
_CONSTRAINT = re.compile(r":(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?")


@dataclass(frozen=True)
class Segment:
    """One part of a template between slashes; `rank` orders segments, literals first."""

    pattern: re.Pattern[str]
    constraints: Sequence[tuple[str, Constraint]]
    rank: int
    optional: bool
    catch_all: str | None
    default: tuple[str, str] | None

    def match(self, text: str) -> dict[str, str] | None:
        """The parameters in the text, None when it does not fit."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value is not None}
        return values if all(check(values[name]) for name, check in self.constraints if name in values) else None


@dataclass(frozen=True)
class Route:
    """An HTTP function's template below the route prefix, and the methods it takes (none given: all)."""

    definition: FunctionDefinition
    template: str
    segments: Sequence[Segment]
    methods: frozenset[str]

    def conflicts_with(self, other: "Route") -> bool:
        """Whether the other has the same template for one of the methods."""
        same = self.template.lower() == other.template.lower()
        return same and (not self.methods or not other.methods or bool(self.methods & other.methods))

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """The route parameters when the path's parts fit, else None."""
        values: dict[str, str] = {}
        for place, segment in enumerate(self.segments):
            if segment.catch_all is not None:
                rest = "/".join(parts[place:])
                found = segment.match(rest) if rest else {}
                return None if found is None else values | found
            if place >= len(parts):
                if segment.default is not None:
                    values.update([segment.default])
                elif not segment.optional:
                    return None
                continue
            found = segment.match(parts[place])
            if found is None:
                return None
            values |= found
        return values if len(parts) <= len(self.segments) else None


class Router:
    """Finds the function for a request; the most literal route wins, segment by segment."""

    def __init__(self, definitions: Iterable[FunctionDefinition], prefix: str) -> None:
        """Raises HostError as `add` does."""
        self._prefix = [part for part in prefix.split("/") if part]
        self.routes: list[Route] = []
        for definition in definitions:
            self.add(definition)

    def add(self, definition: FunctionDefinition) -> None:
        """Raises HostError for a template that cannot be read, or that the real host refuses."""
        route = _route(definition)
        if route.template.lower().startswith(_RESERVED):
            raise HostError(f"Its route '{route.template}' begins with a reserved word: {' or '.join(_RESERVED)}.")
        for other in self.routes:
            if route.conflicts_with(other):
                raise HostError(f"Its route '{route.template}' is already that of '{other.definition.name}'.")
        self.routes.append(route)
        self.routes.sort(key=lambda one: [segment.rank for segment in one.segments] or [0])

    def path(self, definition: FunctionDefinition) -> str:
        """The path of an HTTP function, with its template's parameters."""
        route = next(route for route in self.routes if route.definition.id == definition.id)
        return "/" + "/".join(part for part in (*self._prefix, route.template) if part)

    def find(self, method: str, raw_path: str) -> tuple[FunctionDefinition, dict[str, str]] | None:
        """The function and its route parameters; None when no route has this path *and* this method."""
        parts = [_decoded(part) for part in raw_path.strip("/").split("/")] if raw_path.strip("/") else []
        depth = len(self._prefix)
        if [part.lower() for part in parts[:depth]] != [part.lower() for part in self._prefix]:
            return None
        for route in self.routes:
            if route.methods and method not in route.methods:
                continue
            values = route.match(parts[depth:])
            if values is not None:
                return route.definition, values
        return None


def _decoded(part: str) -> str:
    """Percent-decoded except for %2F, which ASP.NET Core leaves as it is."""
    return "%2F".join(unquote(piece) for piece in re.split("%2F", part, flags=re.IGNORECASE))


def _route(definition: FunctionDefinition) -> Route:
    properties = definition.trigger.properties
    template = (properties.get("route") or definition.name).strip("/")
    try:
        segments = [_segment(text) for text in _split(template)]
    except ValueError as error:
        raise HostError(f"The route '{template}' of '{definition.name}' cannot be read: {error}") from error
    methods = frozenset(method.upper() for method in properties.get("methods") or ())
    return Route(definition, template, segments, methods)


def _split(template: str) -> list[str]:
    """Splits at slashes outside of braces: a constraint such as regex(...) may hold some."""
    return re.findall(r"(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|[^/])+", template)


def _segment(text: str) -> Segment:
    matches = list(_PARAMETER.finditer(text))
    if set("{}") & set(_PARAMETER.sub("", text)):
        raise ValueError(f"'{text}' has unbalanced or unknown braces.")
    if not matches:
        return Segment(re.compile(re.escape(text), re.IGNORECASE), (), 1, False, None, None)
    constraints = [
        (match[2], _constraint(name, argument)) for match in matches for name, argument in _CONSTRAINT.findall(match[3])
    ]
    only = matches[0] if len(matches) == 1 and matches[0][0] == text else None
    default = (only[2], only[4]) if only and only[4] is not None else None
    return Segment(
        re.compile(_pattern(text, matches), re.IGNORECASE | re.DOTALL),
        constraints,
        _rank(only, bool(constraints)),
        bool(only and only[5]),
        only[2] if only and only[1] else None,
        default,
    )


def _pattern(text: str, matches: Sequence[re.Match[str]]) -> str:
    """ASP.NET Core gives the last of several parameters the shortest text; an optional one takes its dot with it."""
    last = matches[-1]
    optional = bool(last[5]) and last.end() == len(text) and text[: last.start()].endswith(".")
    pattern, place = "", 0
    for match in matches:
        literal = re.escape(text[place : match.start()])
        if optional and match is last:
            pattern += f"(?:{literal}(?P<{match[2]}>[^.]+))?"
        else:
            pattern += f"{literal}(?P<{match[2]}>{'.+?' if optional else '.+'})"
        place = match.end()
    return pattern + re.escape(text[place:])


def _rank(only: re.Match[str] | None, constrained: bool) -> int:
    """RoutePrecedence.ComputeInbound of ASP.NET Core: mixed segments, then parameters, then catch-alls."""
    if only is None:
        return 2
    return (9 if only[1] else 5) - (2 if constrained else 0)


def _constraint(name: str, argument: str) -> Constraint:
    simple = _SIMPLE_CONSTRAINTS.get(name.lower())
    if simple is not None:
        return simple
    numbers = [int(number) for number in argument.split(",")] if re.fullmatch(r"[-\d, ]+", argument) else []
    bounded = _BOUNDED_CONSTRAINTS.get(name.lower())
    if bounded is not None and numbers:
        return bounded(numbers[0], numbers[-1])
    if name.lower() == "regex" and argument:
        pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda text: pattern.search(text) is not None
    raise ValueError(f"the constraint '{name}({argument})' is unknown.")


def _parses(parse: Callable[[str], object]) -> Constraint:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, OverflowError):
            return False
        return True

    return check


def _integer(bits: int) -> Constraint:
    bound = 1 << (bits - 1)
    return lambda text: bool(re.fullmatch(r"[+-]?\d+", text)) and -bound <= int(text) < bound


_SIMPLE_CONSTRAINTS: Mapping[str, Constraint] = {
    "int": _integer(32),
    "long": _integer(64),
    "bool": lambda text: text.lower() in ("true", "false"),
    "decimal": lambda text: bool(re.fullmatch(r"[+-]?[\d,]*\.?\d+", text)),
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(UUID),
    "datetime": _parses(datetime.fromisoformat),
    "alpha": lambda text: bool(re.fullmatch(r"[a-zA-Z]*", text)),
    "required": bool,
}

_BOUNDED_CONSTRAINTS: Mapping[str, Callable[[int, int], Constraint]] = {
    "length": lambda low, high: lambda text: low <= len(text) <= high,
    "minlength": lambda low, _: lambda text: len(text) >= low,
    "maxlength": lambda low, _: lambda text: len(text) <= low,
    "min": lambda low, _: lambda text: _integer(64)(text) and int(text) >= low,
    "max": lambda low, _: lambda text: _integer(64)(text) and int(text) <= low,
    "range": lambda low, high: lambda text: _integer(64)(text) and low <= int(text) <= high,
}
