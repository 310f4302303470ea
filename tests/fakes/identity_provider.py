"""An identity provider on this machine: publishes over HTTP what Entra ID publishes, and signs tokens like Entra ID."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.config.sign_in import AUTHORITY, CLIENT_ID, PUBLIC_AUTHORITY, TENANT

TENANT_ID = "10000000-0000-0000-0000-000000000001"
APP = "20000000-0000-0000-0000-000000000002"


@cache
def private_key(kid: str) -> rsa.RSAPrivateKey:
    """The same for the same id; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(kid: str) -> dict[str, Any]:
    """The public part, as a JSON Web Key."""
    return {**RSAAlgorithm.to_jwk(private_key(kid).public_key(), as_dict=True), "kid": kid}


class IdentityProvider:
    """Answers while `serving`. `keys`: ids of what it publishes. `fetched`: the paths that it was asked for."""

    def __init__(self) -> None:
        self.keys = ["first"]
        self.fetched: list[str] = []
        self.away = False  #: answers with 500
        self.metadata: dict[str, Any] = {}  #: replaces members of the OpenID configuration
        self.authority = PUBLIC_AUTHORITY

    @property
    def issuer(self) -> str:
        return f"{self.authority}/{TENANT_ID}/v2.0"

    @property
    def settings(self) -> dict[str, str]:
        """Of an app that trusts it."""
        return {TENANT: TENANT_ID, CLIENT_ID: APP, AUTHORITY: self.authority}

    def claims(self, person: str, *roles: str, **changes: Any) -> dict[str, Any]:
        """Of an access token of version 2; a change to None leaves a claim out."""
        now = int(time.time())
        claims = {
            "aud": APP, "iss": self.issuer, "iat": now, "nbf": now, "exp": now + 3600, "tid": TENANT_ID,
            "oid": f"id-of-{person}", "name": person, "roles": list(roles), "ver": "2.0",
        }  # fmt: skip
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, person: str, *roles: str, kid: str = "first", **changes: Any) -> str:
        """Signed with the key of this id, whether that is published or not."""
        return jwt.encode(self.claims(person, *roles, **changes), private_key(kid), "RS256", {"kid": kid})

    def headers(self, person: str, *roles: str, **changes: Any) -> dict[str, str]:
        """With which a person asks."""
        return {"Authorization": f"Bearer {self.token(person, *roles, **changes)}"}

    @contextmanager
    def serving(self) -> Iterator["IdentityProvider"]:
        """On a free port of this machine."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.authority = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _answer(self, path: str) -> dict[str, Any]:
        if path == f"/{TENANT_ID}/v2.0/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{self.authority}/keys"} | self.metadata
        return {"keys": [published(kid) for kid in self.keys]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched.append(self.path)
                content = json.dumps(provider._answer(self.path)).encode()
                self.send_response(500 if provider.away else 200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Log nothing: people read the tests' output."""

        return Handler
