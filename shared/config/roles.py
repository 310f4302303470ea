"""Which parts run in this app: all, or only some where several apps with fewer rights each share the work.

The coordinator is everything except the workers: intake, advance, timers, HTTP API. Every app reports its health.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.app_settings import AppSettings

#: Comma-separated names of the environments whose workers run here. Default: all.
ENVIRONMENTS = "ENVIRONMENTS"
#: `coordinator`, `workers`, or both, separated by a comma. Default: both, or `workers` if ENVIRONMENTS is set.
ROLES = "MLPROMOTE_ROLES"

_COORDINATOR, _WORKERS = "coordinator", "workers"


@dataclass(frozen=True)
class Roles:
    """The parts that run in this app."""

    coordinator: bool
    #: The environments that have a worker here, in the order of the configuration.
    environments: tuple[str, ...]


def roles_here(settings: AppSettings, known: Sequence[str]) -> Roles:
    """Read the roles from the settings; `known`: the configuration's environments.

    Raises ValueError for an unknown word or name, and for ENVIRONMENTS if no worker runs here.
    """
    chosen = _listed(settings.environments)
    parts = _listed(settings.roles) or ([_WORKERS] if chosen else [_COORDINATOR, _WORKERS])
    _check(ROLES, parts, (_COORDINATOR, _WORKERS))
    _check(ENVIRONMENTS, chosen, known)
    if chosen and _WORKERS not in parts:
        raise ValueError(f"{ENVIRONMENTS} names workers, but {ROLES} is {', '.join(parts)}: remove one.")
    workers = (chosen or known) if _WORKERS in parts else ()
    return Roles(_COORDINATOR in parts, tuple(name for name in known if name in workers))


def _listed(written: str) -> list[str]:
    return [word for part in written.split(",") if (word := part.strip())]


def _check(setting: str, words: Sequence[str], known: Sequence[str]) -> None:
    if wrong := [word for word in words if word not in known]:
        raise ValueError(f"{setting}: unknown {', '.join(map(repr, wrong))}. Known: {', '.join(known)}.")
