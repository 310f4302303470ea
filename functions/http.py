"""Replies of the HTTP API: JSON, and problem+json (RFC 9457) for errors."""

import json
from typing import Any

import azure.functions as func


def found(document: dict[str, Any]) -> func.HttpResponse:
    """200 with the document."""
    return func.HttpResponse(json.dumps(document, ensure_ascii=False), mimetype="application/json")


def problem(status: int, title: str, detail: str) -> func.HttpResponse:
    """An error that says what is wrong and what to do."""
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}, ensure_ascii=False)
    return func.HttpResponse(body, status_code=status, mimetype="application/problem+json")
