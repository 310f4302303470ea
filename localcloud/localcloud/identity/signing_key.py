"""The RSA key that signs tokens for applications, and its public part, by which they verify them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm

from localcloud.identity.key_file import read_or_make


@dataclass(frozen=True)
class SigningKey:
    """The RSA key that signs tokens for applications."""

    private: rsa.RSAPrivateKey

    @property
    def id(self) -> str:
        """The claim `kid`: the thumbprint of the public key."""
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()[:32]

    def published(self) -> dict[str, Any]:
        """The public part as a JSON Web Key, with the members that Entra ID's have."""
        return {**RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": self.id, "use": "sig"}


def read_or_make_signing_key(file: Path) -> SigningKey:
    """The key in a PEM file; a missing file is made, readable by its owner only."""
    private = load_pem_private_key(read_or_make(file, _new_signing_key), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise SystemExit(f"{file} must hold an RSA key, since tokens are signed with RS256.")
    return SigningKey(private)


def _new_signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
