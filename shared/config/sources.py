"""The environments that models come from, read without the app's settings, since a worker has only some of them."""

from collections.abc import Sequence
from pathlib import Path

from shared.config import document


def source_names(path: Path) -> Sequence[str]:
    """Return the `from` of every route in the file at `path`. Raises ConfigurationFaults for invalid YAML."""
    content, _ = document.read(path)
    routes = content.get("routes") if isinstance(content, dict) else None
    if not isinstance(routes, dict):
        return []
    named = [route.get("from") for route in routes.values() if isinstance(route, dict)]
    return list(dict.fromkeys(str(each) for each in named if each))
