"""The scope of a hold as people write it: `ROUTE[/MODEL[/STAGE]]`, or `everything`."""

import re
from typing import TYPE_CHECKING

from shared.core.holds import ANY, Scope
from shared.http.refusals import BadRequestError

if TYPE_CHECKING:
    from shared.config import Configuration

#: The scope of a freeze.
EVERYTHING = "everything"
#: The same as in openapi.yml.
_NAME = "[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_STAGE = f"(/(?P<stage>{_NAME}))?"
_BELOW = rf"(/(?P<model>\*|[A-Za-z0-9][A-Za-z0-9._-]*){_STAGE})?"
#: A route of the app's own configuration; one that a source has published; and such a route of a pipeline, whose lane
#: has the route's name.
_SCOPES = (
    re.compile(f"(?P<route>{_NAME}){_BELOW}"),
    re.compile(f"(?P<route>{_NAME}/{_NAME}){_BELOW}"),
    re.compile(f"(?P<route>{_NAME}/{_NAME})/(?P<model>(?P=route)){_STAGE}"),
)


def readings(text: str) -> tuple[Scope, ...]:
    """Everything that the text can mean, at least one scope: `a/b` is a model of the route `a`, or the route `b` that
    the source `a` has published. Raises `BadRequestError`."""
    if text == EVERYTHING:
        return (Scope(),)
    found = [match for pattern in _SCOPES if (match := pattern.fullmatch(text))]
    if not found:
        raise BadRequestError(
            f"scope: must be ROUTE, ROUTE/MODEL, ROUTE/MODEL/STAGE (MODEL may be {ANY}) or {EVERYTHING}, "
            f"not {text[:100]!r}"
        )
    return tuple(_scope(match) for match in found)


def meant(found: tuple[Scope, ...], configuration: "Configuration") -> Scope:
    """The reading that fits a route and what it takes, else the one that fits a route best; the first if none does."""

    def fits(scope: Scope) -> int:
        route = configuration.routes.get(scope.route)
        return 0 if route is None else 1 if scope.model and not route.takes(scope.model) else 2

    return max(found, key=fits)


def _scope(match: re.Match[str]) -> Scope:
    model = match["model"] or ""
    return Scope(match["route"], "" if model == ANY else model, match["stage"] or "")
