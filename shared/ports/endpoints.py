"""The settings of an online endpoint, as an endpoint file requests them and as Azure ML has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class EndpointSettings:
    """Settings of an endpoint, apart from its traffic. Of a file: None for what it does not name."""

    auth_mode: str | None = None  #: key, aml_token or aad_token
    #: Ids of user-assigned identities, in small letters and sorted; empty for the endpoint's own (system-assigned).
    identities: tuple[str, ...] | None = None
    public_network_access: str | None = None  #: enabled or disabled
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointFile:
    """What an endpoint file requests."""

    file: Path
    settings: EndpointSettings
