"""The way to Azure ML's SDK, which takes seconds to import and is therefore imported on first use.

Its modules import each other in circles. Threads that import different ones of them at once get modules that are only
half initialized, or a deadlock error. So one thread at a time imports, and the first one imports everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import RLock

#: All that this app imports.
_MODULES = (
    "azure.ai.ml",
    "azure.ai.ml.entities",
    "azure.ai.ml.entities._load_functions",
    "azure.ai.ml.exceptions",
    "azure.ai.ml._utils._asset_utils",
)
_one_at_a_time = RLock()


@contextmanager
def importing() -> Iterator[None]:
    """Every import of `azure.ai.ml` stands in such a block. It waits while another thread imports."""
    with _one_at_a_time:
        _import_all()
        yield


@cache
def _import_all() -> None:
    for module in _MODULES:
        import_module(module)
