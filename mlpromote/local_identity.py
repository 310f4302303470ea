"""Tokens of the people of a local cloud, of its managed identity endpoint; none is kept anywhere."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from mlpromote.ends import CommandError, Exit

#: Gives a bearer token that is good now.
Token = Callable[[], str]

#: Seconds before its end at which a token is renewed.
_RENEWED_BEFORE = 300
_TIMEOUT = 10.0


def token_of(addresses: Any, person: str) -> Token:
    """Tokens of a person for the app. `addresses`: of the local cloud's `addresses.json`, which has the person."""
    good_until, kept = 0.0, ""

    def token() -> str:
        nonlocal good_until, kept
        if time.time() >= good_until - _RENEWED_BEFORE:
            kept, good_until = _asked(addresses, person)
        return kept

    return token


def _asked(addresses: Any, person: str) -> tuple[str, float]:
    """The token, and when it ends, in seconds since 1970."""
    query = {
        "api-version": "2019-08-01",
        "resource": addresses["sign_in"]["resource"],
        "client_id": addresses["people"][person]["client_id"],
    }
    endpoint, header = addresses["identity"]["endpoint"], addresses["identity"]["header"]
    request = urllib.request.Request(f"{endpoint}?{urlencode(query)}", headers={"X-IDENTITY-HEADER": header})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            content = json.loads(answer.read())
        return str(content["access_token"]), float(content["expires_on"])
    except urllib.error.HTTPError as refusal:
        with refusal:
            says = f"{endpoint} gives no token for {person}: it answers with {refusal.code} {refusal.reason}"
            raise CommandError(Exit.NOT_ALLOWED, f"{says}. Start the local cloud anew.") from refusal
    except (OSError, http.client.HTTPException, ValueError, KeyError) as fault:
        reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        says = f"{endpoint}, which issues the tokens of the local cloud, cannot be asked: {reason}"
        raise CommandError(Exit.NO_ANSWER, f"{says}. Is the local cloud running?") from fault
