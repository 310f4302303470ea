"""Where models come from and which data goes along. Needs no settings, since a worker has only some of them."""

import re
from collections.abc import Sequence

from shared.config import document
from shared.config.written import Readable


def source_names(path: Readable) -> Sequence[str]:
    """Return the `from` of every route in the file at `path`. Raises ConfigurationFaults for invalid YAML."""
    content, _ = document.read(path)
    routes = content.get("routes") if isinstance(content, dict) else None
    if not isinstance(routes, dict):
        return []
    named = [route.get("from") for route in routes.values() if isinstance(route, dict)]
    return list(dict.fromkeys(str(each) for each in named if each))


def shared_data(path: Readable, environment: str) -> frozenset[str]:
    """Return the names of the data assets that routes from the environment may copy to the registry.

    None if the environment is used by a stage: its data stays there. Raises like `source_names`.
    """
    content, _ = document.read(path)
    routes = content.get("routes") if isinstance(content, dict) else None
    known = [route for route in routes.values() if isinstance(route, dict)] if isinstance(routes, dict) else []
    stages = [stage for route in known for stage in route.get("stages") or [] if isinstance(stage, dict)]
    if any(stage.get("environment") == environment for stage in stages):
        return frozenset()
    named = [data for route in known if route.get("from") == environment for data in route.get("share_data") or []]
    return frozenset(re.split("[@:]", str(data).removeprefix("azureml:"))[0] for data in named)
