"""The public keys with which Microsoft Entra ID signs its tokens: fetched when needed, kept, and renewed in measure.

How often is what Microsoft recommends: renew them every hour, go on with the old ones for a day where that fails, and
for an unknown key ask again once in five minutes at most, so that made-up tokens cause no storm of requests. Source:
https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
"""

import contextlib
import http.client
import json
import logging
import math
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt

from shared.config.sign_in import SignInSettings, is_private

log = logging.getLogger("mlpromote")

#: Seconds. Keys of this age are renewed by the next token, whose check does not fail if that fails.
RENEWED_AFTER = 60 * 60
#: Keys older than this count no more.
KEPT_FOR = 24 * 60 * 60
#: So old must the keys be before an unknown one has them renewed.
UNKNOWN_AFTER = 5 * 60
#: After a failure nobody asks again for so long.
PAUSE = 30
#: For each of the two requests.
TIMEOUT = 10.0
#: Bytes; Entra ID's documents have less than a tenth of this.
LONGEST_DOCUMENT = 1_000_000


class KeysUnavailableError(Exception):
    """The keys cannot be had just now; the text says why. `retry_after`: in how many seconds to try again."""

    def __init__(self, text: str, retry_after: int = PAUSE) -> None:
        super().__init__(text)
        self.retry_after = retry_after


#: By id.
Keys = Mapping[str, jwt.PyJWK]


class SigningKeys:
    """The keys of one issuer. May be used by several threads, of which one fetches at a time."""

    def __init__(self, fetch: Callable[[], Keys], clock: Callable[[], float] = time.monotonic) -> None:
        """`fetch` gives what is published now, or raises `KeysUnavailableError`; `clock`: seconds that only grow."""
        self._fetch = fetch
        self._clock = clock
        self._renewing = threading.Lock()
        self._keys: Keys = {}
        self._fetched = self._failed = -math.inf
        self._trouble = ""

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id; None if the issuer publishes no such key. Raises `KeysUnavailableError`."""
        age = self._clock() - self._fetched
        if kid not in self._keys or age >= KEPT_FOR:
            with self._renewing:
                self._renew(UNKNOWN_AFTER)
        elif age >= RENEWED_AFTER and self._renewing.acquire(blocking=False):
            try:
                with contextlib.suppress(KeysUnavailableError):
                    self._renew(RENEWED_AFTER)
            finally:
                self._renewing.release()
        return self._keys.get(kid)

    def count(self) -> int:
        """How many keys the issuer publishes, asked now unless they are young. Raises `KeysUnavailableError`."""
        with self._renewing:
            self._renew(PAUSE)
        return len(self._keys)

    def _renew(self, least_age: float) -> None:
        """Fetch the keys, unless they are younger than this. The lock is held."""
        if self._clock() - self._fetched < least_age:
            return
        wait = self._failed + PAUSE - self._clock()
        if wait > 0:
            raise KeysUnavailableError(self._trouble, math.ceil(wait))
        try:
            self._keys = self._fetch()
        except KeysUnavailableError as error:
            self._failed, self._trouble = self._clock(), str(error)
            log.warning("%s", error)
            raise
        self._fetched = self._clock()


def fetch(settings: SignInSettings) -> Keys:
    """The RSA keys that the issuer publishes, by way of its OpenID configuration. Raises `KeysUnavailableError`."""
    metadata = _document(settings.metadata)
    if metadata.get("issuer") != settings.issuer:
        raise KeysUnavailableError(
            f"{settings.metadata} is of the issuer {metadata.get('issuer')!r}, not of {settings.issuer}"
        )
    address = metadata.get("jwks_uri")
    if not isinstance(address, str) or not is_private(address):
        raise KeysUnavailableError(f"{settings.metadata} names no address of keys that can be trusted")
    try:
        published = jwt.PyJWKSet.from_dict(_document(address)).keys
    except (jwt.PyJWTError, TypeError, AttributeError) as error:
        raise KeysUnavailableError(f"{address} holds no keys that can be used: {error}") from error
    keys = {
        key.key_id: key
        for key in published
        if isinstance(key.key_id, str) and key.key_type == "RSA" and key.public_key_use in (None, "sig")
    }
    if not keys:
        raise KeysUnavailableError(f"{address} holds no RSA key for signatures")
    return keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: who vouches for people is at the address that the settings name, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _document(address: str) -> dict[str, Any]:
    # What is on this machine is not behind a proxy.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(address).scheme == "http" else []
    opener = urllib.request.build_opener(_NoRedirects, *proxies)
    try:
        with opener.open(address, timeout=TIMEOUT) as answer:
            content = answer.read(LONGEST_DOCUMENT + 1)
        if len(content) > LONGEST_DOCUMENT:
            raise ValueError("it is too long")
        document = json.loads(content)
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise KeysUnavailableError(f"{address} answers with {refusal.code} {refusal.reason}") from refusal
    except (OSError, http.client.HTTPException) as fault:
        reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        raise KeysUnavailableError(f"{address} cannot be reached: {reason}") from fault
    except (ValueError, RecursionError) as fault:
        raise KeysUnavailableError(f"{address} cannot be read: {fault}") from fault
    if not isinstance(document, dict):
        raise KeysUnavailableError(f"{address} cannot be read: it is no JSON object")
    return document
