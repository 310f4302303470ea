"""Loads the configuration from its file, or reports all faults at once."""

from collections.abc import Collection, Mapping

from shared.config import agreement, document
from shared.config.configuration import Configuration, Places
from shared.config.faults import ConfigurationFaults
from shared.config.validation import validated
from shared.config.written import Readable

#: Stands for a workspace whose id is not known.
_SOME_WORKSPACE = "/subscriptions/x/resourceGroups/x/providers/Microsoft.MachineLearningServices/workspaces/unknown-{0}"


def load(path: Readable, settings: Mapping[str, str]) -> Configuration:
    """Load the configuration from the YAML file at `path`, with each `${NAME}` taken from `settings`.

    Raises ConfigurationFaults with every fault.
    """
    content, found = document.read(path)
    content, missing = document.with_settings(content, settings)
    found += missing
    configuration, faults = validated(Configuration, content, missing)
    found += [*faults, *agreement.faults(content)]
    if configuration is None or found:
        raise ConfigurationFaults(path, found)
    return configuration


def load_places(path: Readable, settings: Mapping[str, str], names: Collection[str]) -> Places:
    """Load the registry, the named environments and the prices only, as `load` would return them.

    Checks nothing else, and needs no settings of other environments. Raises ConfigurationFaults.
    """
    content, found = document.read(path)
    content = content if isinstance(content, dict) else {}
    environments = content.get("environments")
    mine = {name: environments.get(name) for name in names} if isinstance(environments, dict) else environments
    costs = {name: content[name] for name in ("prices", "currency") if name in content}
    wanted = {"registry": content.get("registry"), "environments": mine, **costs}
    needed, missing = document.with_settings(wanted, settings)
    found += missing
    places, faults = validated(Places, needed, missing)
    found += faults
    if places is None or found:
        raise ConfigurationFaults(path, found)
    return places


def load_as_worker(path: Readable, settings: Mapping[str, str], names: Collection[str]) -> Configuration | None:
    """Load the configuration as a worker of the named environments can: it lacks the settings of the others, whose
    workspaces then have other ids. None if the file has no routes, or cannot be used like this.
    """
    try:
        content, found = document.read(path)
    except ConfigurationFaults:  # reported where the file is loaded
        return None
    environments = content.get("environments") if isinstance(content, dict) else None
    if not isinstance(environments, dict) or found:
        return None
    others = {name: {"workspace": _SOME_WORKSPACE.format(name)} for name in environments if name not in names}
    content, missing = document.with_settings({**content, "environments": {**environments, **others}}, settings)
    return validated(Configuration, content, missing)[0] if not missing else None
