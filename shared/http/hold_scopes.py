"""The scope of a hold as people write it: `ROUTE[/MODEL[/STAGE]]`, or `everything`."""

import re
from collections.abc import Container

from shared.core.holds import ANY, Scope
from shared.http.refusals import BadRequestError

#: The scope of a freeze.
EVERYTHING = "everything"
#: The same as in openapi.yml.
_NAME = "[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_BELOW = rf"(/(?P<model>\*|[A-Za-z0-9][A-Za-z0-9._-]*)(/(?P<stage>{_NAME}))?)?"
#: A route of the app's own configuration, and one that a source has published.
_SCOPES = (re.compile(f"(?P<route>{_NAME}){_BELOW}"), re.compile(f"(?P<route>{_NAME}/{_NAME}){_BELOW}"))


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


def meant(found: tuple[Scope, ...], routes: Container[str]) -> Scope:
    """The reading whose route is one of these; the first if there is none."""
    return next((scope for scope in found if scope.route in routes), found[0])


def _scope(match: re.Match[str]) -> Scope:
    model = match["model"] or ""
    return Scope(match["route"], "" if model == ANY else model, match["stage"] or "")
