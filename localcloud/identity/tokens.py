"""Makes access tokens: JWTs signed with HS256, with the claims that a token of Microsoft Entra ID has."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.identity.configuration import Identity

#: The one tenant of the local cloud.
TENANT = "00000000-0000-0000-0000-000000000001"

#: Seconds that a token is valid: as with a real managed identity, a day.
LIFETIME = 24 * 60 * 60

#: A token is valid from a little before it is made, since clocks differ.
_CLOCK_SKEW = 300


@dataclass(frozen=True)
class Token:
    """A signed token and when it expires, in seconds since 1970."""

    text: str
    expires_on: int


def issue_token(identity: Identity, resource: str, key: bytes) -> Token:
    """A token with which the identity may call the resource."""
    now = int(time.time())
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": now - _CLOCK_SKEW,
        "exp": now + LIFETIME,
        "appid": identity.client_id,
        "name": identity.name,
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "tid": TENANT,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    claims |= {"scp": "user_impersonation"} if identity.is_person else {"idtyp": "app"}
    signed = f"{_encoded_json({'typ': 'JWT', 'alg': 'HS256'})}.{_encoded_json(claims)}"
    signature = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return Token(f"{signed}.{_encoded(signature)}", now + LIFETIME)


def read_or_make_key(file: Path) -> bytes:
    """The bytes of a key file's text without blanks around it; a missing file is made, readable by its owner only."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32), encoding="ascii")
        # Another process that starts at the same time may have been first: its key stays.
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text(encoding="ascii").strip().encode()


def _encoded_json(content: dict[str, Any]) -> str:
    return _encoded(json.dumps(content, separators=(",", ":")).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
