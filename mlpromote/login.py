"""The command login: which app is used, who one is there, and with which roles."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import RenderableType

from mlpromote import saved_contexts
from mlpromote.access import Access
from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.session import Session
from mlpromote.tables import until
from mlpromote.visible import visible_values

#: What each role of the app allows.
ROLES = {
    "Promotion.Reader": "see promotions",
    "Promotion.Operator": "start, cancel, retry, roll back and replay",
    "Promotion.Approver": "approve and reject",
    "Promotion.Publisher": "publish to the sources that name no other publishers",
}


@command(
    "login",
    "show who you are to the app, and which roles you have",
    more="Gets a token as every command does, and asks the app whether it accepts it. Ends with 3 if it does not. "
    "`mlpromote context list` shows the name from then on.",
)
@click.pass_obj
def login(session: Session) -> ExitCode:
    """Show the app, the caller and the roles."""
    found, output = session.access, session.output
    claims = _claims(found)
    roles = sorted(str(role) for role in claims.get("roles") or ())
    document = {
        "url": found.url,
        "name": _name(claims),
        "roles": roles,
        "tenant": claims.get("tid"),
        "until": _expiry(claims),
    }
    try:
        session.api.get("promotions", query={"top": "1"})
    except CommandError as refusal:
        if refusal.exit_code is ExitCode.NOT_ALLOWED:
            output.say(*_told(document, found, output.clock()))  # who one is says what is missing
        raise
    _note(found, _name(claims))
    output.result(document, lambda: _told(document, found, output.clock()))
    return ExitCode.DONE


def _note(found: Access, name: str | None) -> None:
    """Keep who one is with the context, for `context list`."""
    if found.context is not None and name is not None:
        contexts = saved_contexts.read()
        context = contexts.named(found.context)
        if context.seen != name:
            saved_contexts.write(contexts.with_one(found.context, replace(context, seen=name)))


def _claims(found: Access) -> dict[str, Any]:
    """Return the claims of the token, unverified: the app verifies them. Nothing without a token."""
    if found.token is None:
        return {}
    try:
        part = found.token().split(".")[1]
        claims = visible_values(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
    except (IndexError, ValueError) as fault:
        raise CommandError(ExitCode.NOT_ALLOWED, "The token is not a JSON Web Token, so no app accepts it.") from fault
    return claims if isinstance(claims, dict) else {}


def _name(claims: dict[str, Any]) -> str | None:
    names = (claims.get(key) for key in ("name", "preferred_username", "upn", "appid", "azp", "oid"))
    return next((str(name) for name in names if name), None)


def _expiry(claims: dict[str, Any]) -> str | None:
    expires = claims.get("exp")
    return datetime.fromtimestamp(expires, UTC).isoformat() if isinstance(expires, (int, float)) else None


def _told(document: Document, found: Access, now: datetime) -> Iterator[RenderableType]:
    yield f"app    {document['url']}"
    if found.token is None:
        key = "with a function key: may read and start, nothing else" if found.key else "without a key"
        yield f"you    not signed in, {key}"
        yield f"       To sign in: {found.how_to_sign_in}."
        return
    yield f"you    {document['name'] or 'a token without a name'}"
    for role in document["roles"]:
        yield f"role   {role}: {ROLES.get(role, 'a role of your own')}"
    if document["until"]:
        yield f"until  {until(document['until'], now)}"


COMMANDS = (login,)
