"""The form of the identity part's `--config` file."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from localcloud.configuration_file import Section

#: What `--help` shows; docs/localcloud.md has all keys.
EXAMPLE = """\
identities: [{name: dev, client_id: 00000000-0000-0000-0000-000000000001}]
header: some-secret      # callers have it as IDENTITY_HEADER
token_key: token.key     # made if it is missing
"""

#: Principal ids that are not given are derived from the client id, so that they stay the same.
_PRINCIPALS = uuid.UUID("7c9a8a7e-3d0f-4a53-9b0e-0b8a5f1d2c11")


class Identity(Section):
    """A managed identity: the application (client) id that is asked for, and the principal that gets the roles."""

    name: str = Field(min_length=1)
    client_id: str = Field(pattern=r"^[0-9a-fA-F-]{36}$")
    principal_id: str = Field(default="", pattern=r"^([0-9a-fA-F-]{36})?$")
    #: ARM id; empty: the identity is not found by one.
    resource_id: str = Field(default="", pattern=r"^(/.+)?$")
    #: Stands for a person who acts by hand: gets tokens like a user's, not like an application's.
    is_person: bool = False

    @model_validator(mode="before")
    @classmethod
    def _derive_principal(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("client_id"), str) and not content.get("principal_id"):
            return {**content, "principal_id": principal_of(content["client_id"])}
        return content


class IdentityConfiguration(Section):
    """All identities of one App Service."""

    #: User-assigned: chosen by client id, principal id or resource id.
    identities: tuple[Identity, ...] = ()
    #: Used when a request names no identity.
    system_assigned: Identity | None = None
    #: The secret that callers send as `X-IDENTITY-HEADER`.
    header: str = Field(min_length=1)
    #: The file with the key that signs the tokens, relative to the configuration's folder; made if it is missing.
    token_key: Path

    @field_validator("identities")
    @classmethod
    def _are_unique(cls, identities: tuple[Identity, ...]) -> tuple[Identity, ...]:
        counts = Counter(identity.client_id.lower() for identity in identities)
        counts.update(identity.name for identity in identities)
        counts.update(identity.resource_id.lower() for identity in identities if identity.resource_id)
        if repeated := [value for value, count in counts.items() if count > 1]:
            raise ValueError(f"used more than once: {', '.join(repeated)}")
        return identities


def principal_of(client_id: str) -> str:
    """The principal id of an identity whose configuration gives none."""
    return str(uuid.uuid5(_PRINCIPALS, client_id.lower()))
