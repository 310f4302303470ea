"""Replies of the HTTP API: JSON, and problem+json (RFC 9457) for errors. Also identifies the caller."""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import unquote, urlsplit

import azure.functions as func

from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person
    from shared.http.authorisation import InPerson, Operation, WithKey
    from shared.http.refusals import RefusedError

log = logging.getLogger("mlpromote")

Handler = Callable[[func.HttpRequest], func.HttpResponse]
#: Also takes the caller: a person, or None for a caller with only a key.
OfPerson = Callable[[func.HttpRequest, "Person"], func.HttpResponse]
OfAnybody = Callable[[func.HttpRequest, "Person | None"], func.HttpResponse]


@overload
def answered(operation: "InPerson") -> Callable[[OfPerson], Handler]: ...


@overload
def answered(operation: "WithKey") -> Callable[[OfAnybody], Handler]: ...


def answered(operation: "Operation") -> Callable[[Any], Handler]:
    """Wrap a handler: admit callers who may do this, and answer refusals of `shared` with a problem document."""

    def decorate(handler: Any) -> Handler:
        def answer(request: func.HttpRequest) -> func.HttpResponse:
            from shared.cloud import stores
            from shared.http.refusals import NotAvailableError, RefusedError
            from shared.telemetry.logs import errors_without_secrets

            with errors_without_secrets(log):
                try:
                    by = app().authorisation.caller(operation, request.headers)
                    return handler(request, by)  # type: ignore[no-any-return]
                except RefusedError as refusal:
                    return problem(refusal)
                except Exception as fault:
                    if not stores.is_unavailable(fault):
                        raise
                    log.warning("the store cannot be reached: %s", fault)
                    return problem(NotAvailableError("The store cannot be reached. Try again.", retry_after=10))

        # Not functools.wraps: the host inspects the parameters, and has a binding only for the request.
        answer.__name__, answer.__doc__ = handler.__name__, handler.__doc__
        return answer

    return decorate


def found(document: Any) -> func.HttpResponse:
    """Reply 200 with the document."""
    return func.HttpResponse(json.dumps(document, ensure_ascii=False), mimetype="application/json")


def accepted(document: Any, location: str | None = None) -> func.HttpResponse:
    """Reply 202 with the document, and the path of the resource that was created."""
    headers = {"Location": location} if location else None
    body = json.dumps(document, ensure_ascii=False)
    return func.HttpResponse(body, status_code=202, mimetype="application/json", headers=headers)


def problem(refusal: "RefusedError") -> func.HttpResponse:
    """Reply with an error that says what is wrong and what to do."""
    about = {"type": "about:blank", "title": refusal.title, "status": refusal.status, "detail": str(refusal)}
    body = json.dumps({**about, **refusal.more}, ensure_ascii=False)
    headers = dict(refusal.headers)
    return func.HttpResponse(body, status_code=refusal.status, mimetype="application/problem+json", headers=headers)


def named(request: func.HttpRequest, *names: str) -> list[str]:
    """Return parts of the path. Some hosts leave the slash in the name of a published route escaped."""
    return [unquote(request.route_params[name]) for name in names]


def path_of(request: func.HttpRequest) -> str:
    """The path of the request's URL. Its host may be a proxy's."""
    return str(urlsplit(request.url).path)
