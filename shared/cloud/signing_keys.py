"""The public keys with which Microsoft Entra ID signs its tokens: fetched when needed, cached, and renewed.

Follows Microsoft's recommendation: renew them every hour, use the old ones for up to a day if that fails, and for an
unknown key fetch at most once in five minutes, so that forged tokens cause no storm of requests. Source:
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

#: Seconds. The next token renews keys of this age. Its check does not fail if the renewal does.
RENEWED_AFTER = 60 * 60
#: Older keys are not used.
KEPT_FOR = 24 * 60 * 60
#: An unknown key triggers a renewal only if the keys are at least this old.
UNKNOWN_AFTER = 5 * 60
#: Pause after a failure.
PAUSE = 30
#: Per request.
TIMEOUT = 10.0
#: Bytes. Entra ID's documents have less than a tenth of this.
LONGEST_DOCUMENT = 1_000_000


class KeysUnavailableError(Exception):
    """The keys are not available now; the text says why. `retry_after`: seconds until the next attempt."""

    def __init__(self, text: str, retry_after: int = PAUSE) -> None:
        super().__init__(text)
        self.retry_after = retry_after


#: Keys by id.
Keys = Mapping[str, jwt.PyJWK]


class SigningKeys:
    """The keys of one issuer. Thread-safe; one thread fetches at a time."""

    def __init__(self, fetch: Callable[[], Keys], clock: Callable[[], float] = time.monotonic) -> None:
        """`fetch` returns what is published now, or raises `KeysUnavailableError`. `clock`: monotonic seconds."""
        self._fetch = fetch
        self._clock = clock
        self._renewing = threading.Lock()
        self._keys: Keys = {}
        self._fetched = self._failed = -math.inf
        self._trouble = ""

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key with this id; None if the issuer publishes no such key. Raises `KeysUnavailableError`."""
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
        """How many keys the issuer publishes. Renews old keys first. Raises `KeysUnavailableError`."""
        with self._renewing:
            self._renew(PAUSE)
        return len(self._keys)

    def _renew(self, least_age: float) -> None:
        """Fetch the keys unless they are younger than this. The caller holds the lock."""
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
    """The RSA keys that the issuer publishes in its OpenID configuration. Raises `KeysUnavailableError`."""
    metadata = _document(settings.metadata)
    if metadata.get("issuer") != settings.issuer:
        raise KeysUnavailableError(
            f"{settings.metadata} belongs to the issuer {metadata.get('issuer')!r}, not to {settings.issuer}"
        )
    address = metadata.get("jwks_uri")
    if not isinstance(address, str) or not is_private(address):
        raise KeysUnavailableError(f"{settings.metadata} names no trustworthy address of keys")
    try:
        published = jwt.PyJWKSet.from_dict(_document(address)).keys
    except (jwt.PyJWTError, TypeError, AttributeError) as error:
        raise KeysUnavailableError(f"{address} has no usable keys: {error}") from error
    keys = {
        key.key_id: key
        for key in published
        if isinstance(key.key_id, str) and key.key_type == "RSA" and key.public_key_use in (None, "sig")
    }
    if not keys:
        raise KeysUnavailableError(f"{address} has no RSA key for signatures")
    return keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: the keys may come only from the address in the settings."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _document(address: str) -> dict[str, Any]:
    # Addresses on this machine are not behind a proxy.
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
        raise KeysUnavailableError(f"{address} cannot be read: it is not a JSON object")
    return document
