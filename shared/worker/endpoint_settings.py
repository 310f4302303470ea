"""What an endpoint file asks for that its endpoint does not have: what can be changed, and what Azure cannot change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind
from shared.ports import Endpoint, EndpointFile, EndpointSettings
from shared.worker.target import Target

#: Of a value in a text for people.
_LONGEST_VALUE = 200


@dataclass(frozen=True)
class Differences:
    """The settings that differ, each as `is → will be`."""

    changeable: Mapping[str, str] = field(default_factory=dict)
    #: The identity of an endpoint is fixed when it is made (how-to-access-resources-from-endpoints-managed-identities),
    #: and Azure refuses other `properties` later.
    fixed: Mapping[str, str] = field(default_factory=dict)


def requested(target: Target) -> EndpointFile | None:
    """The stage's endpoint file; None if it has none. Raises `RejectedError` if it cannot be used."""
    file = target.endpoint_file
    return target.workspace.endpoint_file(file) if file is not None else None


def differences(wanted: EndpointSettings, has: EndpointSettings) -> Differences:
    """What the endpoint lacks. What a file does not name stays as it is."""
    changeable = {
        "auth_mode": (wanted.auth_mode, has.auth_mode),
        "public_network_access": (wanted.public_network_access, has.public_network_access),
        "description": (wanted.description, has.description),
        **{f"tag {name}": (value, has.tags.get(name)) for name, value in wanted.tags.items()},
    }
    fixed = {
        "identity": (_identity(wanted), _identity(has)),
        **{f"property {name}": (value, has.properties.get(name)) for name, value in wanted.properties.items()},
    }
    return Differences(dict(_differing(changeable)), dict(_differing(fixed)))


def obstacle(target: Target, file: EndpointFile, endpoint: Endpoint) -> Failed | None:
    """Why the endpoint cannot become what the file asks for; None if it can."""
    fixed = differences(file.settings, endpoint.settings).fixed
    if not fixed:
        return None
    told = "; ".join(f"{name}: {change}" for name, change in fixed.items())
    return Failed(
        f"Azure cannot change this of endpoint {endpoint.name}, which {file.file.name} asks for: {told}. Correct the "
        f"file, or choose another `endpoint` for stage {target.command.stage}.",
        FailureKind.CONFLICT,
    )


def _differing(settings: Mapping[str, tuple[str | None, str | None]]) -> Iterator[tuple[str, str]]:
    for name, (wanted, has) in settings.items():
        if wanted is not None and wanted != has:
            yield name, f"{_short(has)} → {_short(wanted)}"


def _identity(settings: EndpointSettings) -> str | None:
    if settings.identities is None:
        return None
    return ", ".join(settings.identities) or "its own"


def _short(value: str | None) -> str:
    return value[:_LONGEST_VALUE] if value else "none"
