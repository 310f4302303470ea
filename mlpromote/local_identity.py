"""Tokens for the people of a local cloud, from its managed identity endpoint; none is stored."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from mlpromote.exit_codes import CommandError, ExitCode

#: Returns a bearer token that is valid now.
Token = Callable[[], str]

#: Seconds before expiry at which a token is renewed.
_RENEWED_BEFORE = 300
_TIMEOUT = 10.0


def token_of(addresses: Any, person: str) -> Token:
    """Return a source of a person's tokens. `addresses`: content of `addresses.json`, which must list the person."""
    good_until, kept = 0.0, ""

    def token() -> str:
        nonlocal good_until, kept
        if time.time() >= good_until - _RENEWED_BEFORE:
            kept, good_until = _asked(addresses, person)
        return kept

    return token


def _asked(addresses: Any, person: str) -> tuple[str, float]:
    """Request a token; return it and its expiry in seconds since 1970."""
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
            says = f"{endpoint} issued no token for {person}: {refusal.code} {refusal.reason}"
            raise CommandError(ExitCode.NOT_ALLOWED, f"{says}. Restart the local cloud.") from refusal
    except (OSError, http.client.HTTPException, ValueError, KeyError) as fault:
        reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        says = f"Cannot reach {endpoint}, which issues the tokens of the local cloud: {reason}"
        raise CommandError(ExitCode.NO_ANSWER, f"{says}. Is the local cloud running?") from fault
