"""Shared access policies: whose key may listen to which queues and send to which. Without a file of them all may.

Azure gives an identity such rights by role assignments. Here a policy's key stands for the identity, since the SDKs
speak to an emulator's address with connection strings only.
Tokens: Microsoft, "Service Bus access control with Shared Access Signatures".
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote_plus, urlsplit

from localcloud.servicebus.queue import DEAD_LETTER_SUFFIX

_SCHEME = "SharedAccessSignature"
_FIELDS = ("sr", "sig", "se", "skn")
#: Stands for every queue.
EVERY = "*"


class Claim(StrEnum):
    """What a policy may allow on a queue."""

    LISTEN = "Listen"
    SEND = "Send"


#: The AMQP error for it.
UNAUTHORIZED_ACCESS = "amqp:unauthorized-access"


def missing_claim(claim: Claim, queue: str) -> str:
    """Why a link or a request is refused."""
    return f"Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: '{queue}'."


class TokenRefusedError(Exception):
    """Why a token is not accepted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A key, and the names of the queues it is good for; `*` is all of them."""

    name: str
    key: str
    listen: tuple[str, ...] = ()
    send: tuple[str, ...] = ()

    def allows(self, claim: Claim, queue: str) -> bool:
        named = self.listen if claim is Claim.LISTEN else self.send
        return any(name in (EVERY, queue.lower()) for name in map(str.lower, named))


class Grants:
    """What one connection may do with the tokens that it has presented."""

    def __init__(self, policies: Collection[Policy] | None) -> None:
        """`None`: everything, with any token, as Microsoft's emulator has it."""
        self._policies = None if policies is None else {policy.name: policy for policy in policies}
        #: By the path that each token is for.
        self._granted: dict[str, tuple[Policy, float]] = {}

    def show(self, token: object) -> None:
        """Takes a token; raises `TokenRefusedError` unless a policy's key has signed it."""
        if self._policies is None:
            return
        fields = _fields(token)
        policy = self._policies.get(unquote_plus(fields["skn"]))
        signature = unquote_plus(fields["sig"]).encode()
        signed = f"{fields['sr']}\n{fields['se']}"
        if policy is None or not hmac.compare_digest(signature, _signature(policy.key, signed)):
            raise TokenRefusedError("InvalidSignature: The token has an invalid signature.")
        expires = _seconds(fields["se"])
        if expires <= time.time():
            raise TokenRefusedError("ExpiredToken: The token is expired.")
        self._granted[_with_slash(urlsplit(unquote_plus(fields["sr"])).path)] = policy, expires

    def allow(self, claim: Claim, queue: str) -> bool:
        """Whether a valid token covers the queue or the whole namespace, and its policy has the claim.

        `queue` may be the name of a queue's dead letters too: who may listen to the queue may listen to them.
        """
        if self._policies is None:
            return True
        now = time.time()
        return any(
            expires > now and policy.allows(claim, queue.removesuffix(DEAD_LETTER_SUFFIX))
            for path, (policy, expires) in self._granted.items()
            if _with_slash(queue).startswith(path)
        )


def _fields(token: object) -> dict[str, str]:
    scheme, _, rest = str(token).partition(" ")
    fields = dict(pair.partition("=")[::2] for pair in rest.split("&"))
    if scheme != _SCHEME or not all(name in fields for name in _FIELDS):
        raise TokenRefusedError("The token is no shared access signature.")
    return fields


def _with_slash(path: str) -> str:
    return f"/{path.strip('/').lower()}/".replace("//", "/")


def _signature(key: str, text: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise TokenRefusedError("The token has no time at which it expires.") from error
