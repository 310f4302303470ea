"""Replies of the HTTP API: JSON, and problem+json (RFC 9457) for errors; and who asks."""

import json
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import azure.functions as func

from shared.app import sign_in_is_required

if TYPE_CHECKING:
    from shared.core.people import Person

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def answered(handler: Handler) -> Handler:
    """A function that answers what `shared` refuses with its problem, and 401 where one has to sign in first."""

    @wraps(handler)
    def answer(request: func.HttpRequest) -> func.HttpResponse:
        from shared.http.refusals import NotSignedInError, RefusedError

        try:
            if sign_in_is_required() and caller(request) is None:
                raise NotSignedInError("Sign in with Microsoft Entra ID: this app takes no keys.")
            return handler(request)
        except RefusedError as refusal:
            return problem(refusal.status, refusal.title, str(refusal), refusal.more)

    return answer


def caller(request: func.HttpRequest) -> "Person | None":
    """Who has signed in; None for nobody: a function key identifies nobody."""
    from shared.http.principal import signed_in

    return signed_in(request.headers, os.environ)


def found(document: Any) -> func.HttpResponse:
    """200 with the document."""
    return func.HttpResponse(json.dumps(document, ensure_ascii=False), mimetype="application/json")


def accepted(document: Any, location: str | None = None) -> func.HttpResponse:
    """202 with the document, and the path of what came of it."""
    headers = {"Location": location} if location else None
    body = json.dumps(document, ensure_ascii=False)
    return func.HttpResponse(body, status_code=202, mimetype="application/json", headers=headers)


def problem(status: int, title: str, detail: str, more: Mapping[str, Any] | None = None) -> func.HttpResponse:
    """An error that says what is wrong and what to do."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(more or {})}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    body = json.dumps(document, ensure_ascii=False)
    return func.HttpResponse(body, status_code=status, mimetype="application/problem+json", headers=headers)


def path_of(request: func.HttpRequest) -> str:
    """The path of the request's address: the host may be another one in front of the app."""
    return str(urlsplit(request.url).path)
