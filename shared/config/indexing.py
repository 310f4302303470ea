"""What indexing the functions needs of the configuration: the environments' names, read without pydantic.

Indexing has to be quick, and importing pydantic takes longer than everything else in it together.
"""

from pathlib import Path

from shared.config import azure_names, document
from shared.config.faults import ConfigurationFaults, Fault, place


def environment_names(path: Path) -> list[str]:
    """The names of the environments in the file at `path`, in its order.

    Raises ConfigurationFaults if there are none, or if one is no name for a queue and a function; nothing else is
    checked.
    """
    content, _ = document.read(path)
    environments = content.get("environments") if isinstance(content, dict) else None
    if not isinstance(environments, dict) or not environments:
        raise ConfigurationFaults(path, [Fault("environments", "must be a mapping of names to environments")])
    faults = [fault for name in environments if (fault := _name_fault(name))]
    if faults:
        raise ConfigurationFaults(path, faults)
    return list(environments)


def _name_fault(name: str) -> Fault | None:
    try:
        azure_names.ENVIRONMENT.check(name)
    except ValueError as refusal:
        return Fault(place(("environments", name)), str(refusal))
    return None
