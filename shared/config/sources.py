"""The environments that models come from, read without the app's settings: a worker alone has not all of them."""

from collections.abc import Sequence
from pathlib import Path

from shared.config import document


def source_names(path: Path) -> Sequence[str]:
    """What the routes of the file at `path` have in `from`. Raises ConfigurationFaults for what is no YAML."""
    content, _ = document.read(path)
    routes = content.get("routes") if isinstance(content, dict) else None
    if not isinstance(routes, dict):
        return []
    named = [route.get("from") for route in routes.values() if isinstance(route, dict)]
    return list(dict.fromkeys(str(each) for each in named if each))
