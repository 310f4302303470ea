"""What deploying a Bicep file makes, and what is known of it before: all but what only Azure can know."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class Runtime(str):
    """What is known only while a deployment runs, as a path such as `<ARM id>.properties.clientId`.

    Inside a module it is a parameter like any other.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Scope:
    """Where a file is deployed to."""

    subscription: str
    resource_group: str = ""

    @property
    def id(self) -> str:
        """Its ARM id."""
        group = f"/resourceGroups/{self.resource_group}" if self.resource_group else ""
        return f"/subscriptions/{self.subscription}{group}"


@dataclass(frozen=True)
class Resource:
    """One resource of a deployment."""

    type: str
    id: str
    existing: bool
    body: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body.get("properties", {})
        return found

    def value(self, member: str) -> Any:
        """What `resource.member` is in an expression."""
        known = {"id": self.id, "name": self.name, "type": self.type}
        return known.get(member) or Runtime(f"<{self.id}>.{member}")


@dataclass(frozen=True)
class Deployed:
    """The result of deploying a file with its modules."""

    scope: Scope
    resources: list[Resource]
    outputs: Mapping[str, Any]


class RefusedError(Exception):
    """The file called `fail`: nothing is created."""


class Skipped:
    """A resource or module whose condition is false. Nothing of it can be used."""


def like(parts: Iterable[str], text: str) -> str:
    """The text that consists of the parts. It is known only once they are."""
    return Runtime(text) if any(isinstance(part, Runtime) for part in parts) else text


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): each_text(item, change) for key, item in value.items()}
    return [each_text(item, change) for item in value] if isinstance(value, list) else value


def known_at_the_start(what: str, values: Mapping[str, Any]) -> None:
    """Fails where a deployment could not begin, since a name, a place or an identity is known only while it runs."""
    late: list[str] = []

    def look(text: str) -> str:
        if isinstance(text, Runtime):
            late.append(text)
        return text

    each_text(dict(values), look)
    assert not late, f"{what}: {late[0]} must be known before"
