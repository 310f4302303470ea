"""Which parts of the app run here: all of them, or some as one of several apps with fewer rights each.

The coordinator is everything but the workers: intake, advance, timers and the HTTP API. Every app tells of its health.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.app_settings import AppSettings

#: Names of the environments whose workers run here, with commas between them. Not set: all.
ENVIRONMENTS = "ENVIRONMENTS"
#: `coordinator`, `workers`, or both with a comma. Not set: both, but only `workers` where ENVIRONMENTS is set.
ROLES = "MLPROMOTE_ROLES"

_COORDINATOR, _WORKERS = "coordinator", "workers"


@dataclass(frozen=True)
class Roles:
    """What runs in this app."""

    coordinator: bool
    #: The environments that have a worker here, in the order of the configuration.
    environments: tuple[str, ...]


def roles_here(settings: AppSettings, known: Sequence[str]) -> Roles:
    """What the settings say; `known` are the configuration's environments.

    Raises ValueError for a word or a name that is not known, and for ENVIRONMENTS where no worker is to run.
    """
    chosen = _listed(settings.environments)
    parts = _listed(settings.roles) or ([_WORKERS] if chosen else [_COORDINATOR, _WORKERS])
    _check(ROLES, parts, (_COORDINATOR, _WORKERS))
    _check(ENVIRONMENTS, chosen, known)
    if chosen and _WORKERS not in parts:
        raise ValueError(f"{ENVIRONMENTS} names workers, but {ROLES} is {', '.join(parts)}: take one of them away.")
    workers = (chosen or known) if _WORKERS in parts else ()
    return Roles(_COORDINATOR in parts, tuple(name for name in known if name in workers))


def _listed(written: str) -> list[str]:
    return [word for part in written.split(",") if (word := part.strip())]


def _check(setting: str, words: Sequence[str], known: Sequence[str]) -> None:
    if wrong := [word for word in words if word not in known]:
        raise ValueError(f"{setting} has {', '.join(map(repr, wrong))}: known are {', '.join(known)}.")
