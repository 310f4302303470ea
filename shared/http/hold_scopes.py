"""Reads what a hold applies to: `ROUTE[/MODEL[/STAGE]]`, or `everything`.

A published route is called `SOURCE/NAME`, and a pipeline's model is called as its route, so a text can be read in
several ways. Which one is meant is known from the routes, and from what is held.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from shared.core.holds import ANY, Scope
from shared.http.refusals import BadRequestError

#: The scope of a freeze.
EVERYTHING = "everything"
#: As in openapi.yml.
_NAME = r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_MODEL = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_FORMS = (
    rf"(?P<route>{_NAME})(/(?P<model>\*|{_MODEL})(/(?P<stage>{_NAME}))?)?",
    rf"(?P<route>{_NAME}/{_NAME})/(?P<model>(?P=route))(/(?P<stage>{_NAME}))?",  # of a published pipeline route
    rf"(?P<route>{_NAME}/{_NAME})(/(?P<model>\*|{_MODEL})(/(?P<stage>{_NAME}))?)?",
)


def readings(text: str) -> Sequence[Scope]:
    """Return each way to read the text, at least one; raises `BadRequestError`."""
    if text == EVERYTHING:
        return [Scope()]
    found = list(_readings(text))
    if not found:
        raise BadRequestError(
            f"scope: must be ROUTE, ROUTE/MODEL, ROUTE/MODEL/STAGE (MODEL may be {ANY}) or {EVERYTHING}, "
            f"not {text[:100]!r}"
        )
    return found


def of_routes(scopes: Sequence[Scope], routes: Iterable[str]) -> Scope:
    """Return the scope of a known route; if there is none, the one that is like the known ones."""
    known = list(routes)
    published = any("/" in route for route in known)
    return _first(scopes, lambda scope: not scope.route or scope.route in known) or (
        _first(scopes, lambda scope: ("/" in scope.route) is published) or scopes[0]
    )


def _readings(text: str) -> Iterator[Scope]:
    for form in _FORMS:
        found = re.fullmatch(form, text)
        if found is not None:
            model = found["model"] or ""
            yield Scope(found["route"], "" if model == ANY else model, found["stage"] or "")


def _first(scopes: Sequence[Scope], fits: Callable[[Scope], bool]) -> Scope | None:
    return next((scope for scope in scopes if fits(scope)), None)
