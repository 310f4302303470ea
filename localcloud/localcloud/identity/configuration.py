"""The form of the identity part's `--config` file."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from localcloud.configuration_file import Section

#: What `--help` shows; docs/parts.md has all keys.
EXAMPLE = """\
identities: [{name: dev, client_id: 00000000-0000-0000-0000-000000000001}]
header: some-secret      # callers have it as IDENTITY_HEADER
token_key: token.key     # made if it is missing
applications: [{client_id: 00000000-0000-0000-0000-0000000000aa, roles: {dev: [Some.Role]}}]
"""

#: Principal ids that are not given are derived from the client id, so that they stay the same.
_PRINCIPALS = uuid.UUID("7c9a8a7e-3d0f-4a53-9b0e-0b8a5f1d2c11")


class Identity(Section):
    """A managed identity: the application (client) id that callers request, and the principal that has the roles."""

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


class AppRegistration(Section):
    """An application that verifies tokens itself: those for `api://<client id>` are signed so that it can."""

    client_id: str = Field(pattern=r"^[0-9a-fA-F-]{36}$")
    #: Its app roles, by the name of the identity that has them.
    roles: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Object ids of the groups assigned to it, by the name of the identity that is a member.
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def resources(self) -> tuple[str, str]:
        """The ids by which callers may request its token, in lower case."""
        return (f"api://{self.client_id.lower()}", self.client_id.lower())


class IdentityConfiguration(Section):
    """All identities of one App Service, and the applications of the tenant."""

    #: User-assigned: chosen by client id, principal id or resource id.
    identities: tuple[Identity, ...] = ()
    #: Used when a request names no identity.
    system_assigned: Identity | None = None
    #: The secret that callers send as `X-IDENTITY-HEADER`.
    header: str = Field(min_length=1)
    #: The file with the key that signs the tokens, relative to the configuration's folder; made if it is missing.
    token_key: Path
    applications: tuple[AppRegistration, ...] = ()
    #: The file with the RSA key that signs the tokens for applications; as `token_key`.
    signing_key: Path = Path("signing-key.pem")

    @field_validator("identities")
    @classmethod
    def _are_unique(cls, identities: tuple[Identity, ...]) -> tuple[Identity, ...]:
        counts = Counter(identity.client_id.lower() for identity in identities)
        counts.update(identity.name for identity in identities)
        counts.update(identity.resource_id.lower() for identity in identities if identity.resource_id)
        if repeated := [value for value, count in counts.items() if count > 1]:
            raise ValueError(f"used more than once: {', '.join(repeated)}")
        return identities

    @model_validator(mode="after")
    def _members_are_identities(self) -> Self:
        known = {identity.name for identity in (*self.identities, *filter(None, [self.system_assigned]))}
        for what in ("roles", "groups"):
            if unknown := sorted({name for one in self.applications for name in getattr(one, what)} - known):
                raise ValueError(f"applications: there is no identity {', '.join(unknown)} to have {what}")
        return self


def principal_of(client_id: str) -> str:
    """The principal id of an identity without one in its configuration."""
    return str(uuid.uuid5(_PRINCIPALS, client_id.lower()))
