"""What promotions do in Azure ML: one file per step, each with its `STEP`. A new file is found by itself.

A step looks at what is there, starts what is missing, and succeeds when it has read its effect back. It never waits,
and may be run again at any time: it then goes on from what is there.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.worker.order import Step


@cache
def steps() -> "Mapping[str, Step[Any, Any]]":
    """All steps by name."""
    found = [import_module(f"{__name__}.{module.name}").STEP for module in iter_modules(__path__)]
    return {step.name: step for step in found}
